"use strict";

// Length of the chart, seconds.
const SHOWN = 60;

const live = document.getElementById("live");
const rows = [...document.querySelectorAll("#rows tr")];
const rates = [];
let last = null;

const count = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const percent = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });

function handshakes(worker) {
  return worker.tls_1_2 + worker.tls_1_3 + worker.no_tls;
}

function sum(status, field) {
  return status.workers.reduce((all, worker) => all + worker[field], 0);
}

function size(bytes) {
  const units = ["B", "kB", "MB", "GB"];
  while (bytes >= 1000 && units.length > 1) {
    bytes /= 1000;
    units.shift();
  }
  return `${tenths.format(bytes)} ${units[0]}`;
}

function duration(ms) {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return `${Math.floor(ms / 1000)} s`;
  if (minutes < 120) return `${minutes} min`;
  return minutes < 2880 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1440)} days`;
}

function draw() {
  const top = Math.max(...rates, 1);
  const x = (i) => SHOWN - (rates.length - 1 - i);
  const line = rates.map((rate, i) => `${x(i)},${19.5 - (18 * rate) / top}`).join(" ");
  document.querySelector("#chart polyline").setAttribute("points", line);
  const area = `${x(0)},20 ${line} ${SHOWN},20`;
  document.querySelector("#chart polygon").setAttribute("points", area);
}

function show(status) {
  for (const element of document.querySelectorAll("[data-sum]")) {
    element.textContent = count.format(sum(status, element.dataset.sum));
  }
  const all = status.workers.reduce((all, worker) => all + handshakes(worker), 0);
  const share = all ? ` (${percent.format(sum(status, "resumed") / all)})` : "";
  document.getElementById("resumed").textContent = count.format(sum(status, "resumed")) + share;
  document.getElementById("up").textContent = duration(status.up);
  // After a restart the counters start at 0, so the rates have to start again.
  const before = last && last.up < status.up && last.workers.length === status.workers.length;
  const seconds = before ? (status.up - last.up) / 1000 : null;
  rows.forEach((row, i) => {
    const worker = status.workers[i];
    if (!worker) return;
    const cells = row.querySelectorAll("td");
    const rate = before ? (worker.requests - last.workers[i].requests) / seconds : null;
    const values = [worker.connections, worker.in_flight, worker.requests, rate, handshakes(worker)];
    values.forEach((value, cell) => {
      cells[cell].textContent = value === null ? "–" : count.format(value);
    });
  });
  if (before) {
    for (const element of document.querySelectorAll("[data-rate]")) {
      const field = element.dataset.rate;
      const rate = (sum(status, field) - sum(last, field)) / seconds;
      const bytes = element.dataset.unit === "bytes";
      element.textContent = bytes ? size(rate) : count.format(rate);
      if (field === "requests") rates.push(rate);
    }
    rates.splice(0, rates.length - SHOWN - 1);
    draw();
  } else {
    rates.length = 0;
  }
  last = status;
}

function say(text, state) {
  if (live.textContent !== text) live.textContent = text;
  live.className = state;
}

function connect() {
  const events = new EventSource("/events");
  events.onmessage = (event) => {
    say("live", "on");
    show(JSON.parse(event.data));
  };
  events.onerror = () => {
    say("no connection, trying again", "off");
    // The browser reconnects, except after a response that is no stream of events.
    if (events.readyState === EventSource.CLOSED) setTimeout(connect, 5000);
  };
  addEventListener("pagehide", () => events.close(), { once: true });
}

addEventListener("pageshow", (event) => event.persisted && connect());
connect();
