// Shows new messages in the inbox without a reload: asks every two seconds whether anything changed.
"use strict";

const POLL_MILLISECONDS = 2000;

async function refresh() {
  const inbox = document.getElementById("inbox");
  const answer = await fetch("/api/v1/sandbox/summary");
  if (!answer.ok) return;
  const summary = await answer.json();
  if (String(summary.change) === inbox.dataset.change) return;
  const page = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
  const fresh = page.getElementById("inbox");
  if (!fresh) return;
  const focused = inbox.contains(document.activeElement) ? document.activeElement.id : "";
  inbox.replaceWith(fresh);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  document.title = page.title;
  document.getElementById("news").textContent = `The inbox has ${summary.messages} messages.`;
}

async function poll() {
  try {
    if (!document.hidden) await refresh();
  } catch {
    // The gateway is stopped or restarting; the next round asks again.
  }
  setTimeout(poll, POLL_MILLISECONDS);
}

setTimeout(poll, POLL_MILLISECONDS);
