//! The sources of the settings, for errors that are found after the options have been read.

use super::setting::Setting;

/// The settings that were not typed, with their sources.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources(Vec<Setting>);

impl Sources {
    pub(super) fn new(settings: &[Setting]) -> Self {
        Self(settings.to_vec())
    }

    /// Adds where each flag of the message was set: file and line, or the environment variable.
    pub(crate) fn locate(&self, message: &str) -> String {
        let begins_with = |setting: &&Setting| {
            let rest = message.strip_prefix("--");
            rest.is_some_and(|rest| rest.starts_with(&setting.name)) && setting.is_named_in(message)
        };
        let first = self.0.iter().filter(begins_with);
        let first = first.max_by_key(|setting| setting.name.len());
        let mut located = match first {
            Some(setting) => format!("{}: {message}", setting.source),
            None => message.to_owned(),
        };
        let others = self.0.iter().filter(|setting| setting.is_named_in(message));
        for setting in others.filter(|setting| first.is_none_or(|first| first.name != setting.name))
        {
            located.push_str(&format!(
                "\n{}: --{} is set here",
                setting.source, setting.key
            ));
        }
        located
    }
}
