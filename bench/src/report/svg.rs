pub fn picture(_run: &crate::results::Run) -> String {
    String::new()
}
