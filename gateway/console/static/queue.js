// Chooses all messages of the queue's page at once, and shows what "all that fit" means.
"use strict";

const form = document.getElementById("queue");
const allHere = document.getElementById("all-here");
const everything = document.getElementById("everything");

function boxes() {
  return [...form.querySelectorAll('input[name="selected"]')];
}

if (form && allHere) {
  document.getElementById("choose-all").hidden = false;
  allHere.addEventListener("change", () => {
    for (const box of boxes()) box.checked = allHere.checked;
  });
  everything.addEventListener("change", () => {
    for (const box of [allHere, ...boxes()]) box.disabled = everything.checked;
  });
  form.addEventListener("change", () => {
    const chosen = boxes().filter((box) => box.checked).length;
    allHere.checked = chosen === boxes().length;
    allHere.indeterminate = chosen > 0 && !allHere.checked;
  });
}
