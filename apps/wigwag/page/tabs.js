// The tabs: the pattern of the ARIA authoring guide, with automatic activation. Left, Right, Home and End move.
// What is chosen is in the address (#files), beside the word "wait" if it is there (#wait,files).
import { $ } from "./dom.js";

const list = [...document.querySelectorAll('#tabs [role="tab"]')];
const nameOf = (tab) => tab.id.replace("tab-", "");

/** What the address says after its #. */
export const words = () => location.hash.slice(1).split(",").filter(Boolean);

export function choose(name, focus = false) {
  for (const tab of list) {
    const chosen = nameOf(tab) === name;
    tab.setAttribute("aria-selected", chosen);
    tab.tabIndex = chosen ? 0 : -1;
    $(tab.getAttribute("aria-controls")).hidden = !chosen;
    if (!chosen) continue;
    if (focus) tab.focus();
    tab.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}

function chooseByHand(tab, focus) {
  const kept = words().filter((word) => !list.some((other) => nameOf(other) === word));
  history.replaceState(null, "", `#${[...kept, nameOf(tab)].join(",")}`);
  choose(nameOf(tab), focus);
}

for (const tab of list) tab.addEventListener("click", () => chooseByHand(tab, true));
$("tabs").addEventListener("keydown", (event) => {
  const at = list.indexOf(event.target);
  const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
  if (at < 0 || next === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  chooseByHand(list.at(next % list.length), true);
});

const chosenByAddress = () =>
  choose(words().find((word) => list.some((tab) => nameOf(tab) === word)) ?? nameOf(list[0]));
addEventListener("hashchange", chosenByAddress);
chosenByAddress();
