// Keeps the overview's figures fresh: the event feed says when something happened, and then they are asked for anew.
"use strict";

const SHORTEST_MILLISECONDS = 2000;  // however much happens: two figures a second tell nobody more
const LONGEST_MILLISECONDS = 10000;  // however little happens: a minute ends, and ages grow
const CATCHING_UP_MILLISECONDS = 200;  // while the last hour is still being counted

let somethingHappened = false;
let lastRefresh = performance.now();

function tell(text, isLive) {
  const live = document.getElementById("live");
  if (live.textContent !== text) live.textContent = text;
  live.classList.toggle("on", isLive);
}

async function refresh() {
  const answer = await fetch("/overview/figures");
  if (answer.redirected) location.reload();  // the login has ended
  if (!answer.ok) throw new Error(answer.statusText);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("figures");
  const old = document.getElementById("figures");
  const links = [...old.querySelectorAll("a")];
  const focused = links.indexOf(document.activeElement);
  old.replaceWith(fresh);
  if (focused >= 0) fresh.querySelectorAll("a")[focused]?.focus({ preventScroll: true });
  tell("live", true);
}

async function round() {
  const waited = performance.now() - lastRefresh;
  const isCatchingUp = document.getElementById("figures").dataset.whole === "no";
  const isDue = waited > (isCatchingUp ? CATCHING_UP_MILLISECONDS : somethingHappened ? SHORTEST_MILLISECONDS : LONGEST_MILLISECONDS);
  if (isDue && !document.hidden) {
    somethingHappened = false;
    try {
      await refresh();
    } catch {
      tell("the gateway does not answer", false);
    }
    lastRefresh = performance.now();
  }
  setTimeout(round, CATCHING_UP_MILLISECONDS);
}

// A browser keeps few connections to one server, so only tabs that are looked at hold one.
let feed = null;

function listen() {
  feed?.close();
  feed = null;
  if (document.hidden) return;
  feed = new EventSource("/api/v1/events");
  feed.addEventListener("message-event", () => { somethingHappened = true; });
  feed.addEventListener("open", () => tell("live", true));
  feed.addEventListener("error", () => tell("the gateway does not answer", false));
}

document.addEventListener("visibilitychange", listen);
listen();
setTimeout(round, CATCHING_UP_MILLISECONDS);
