// Sees red flags in a report by the same rules as the server (trials.domain.red_flags), so that
// what to do stands on the screen before anything is sent, and without a network. Rules and texts
// are those of the pack, as this phone has it.
import { readFact } from "./store.js";
import { copy } from "./page.js";

const PRESENT = 1;

// Small letters without accents and marks, as the lists of words are written.
export const plainWords = (text) => {
  const bare = text.replace(/[ßẞ]/g, "ss").normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase()
    .replaceAll("œ", "oe").replaceAll("æ", "ae");
  return (bare.match(/[a-z0-9]+/g) ?? []).join(" ");
};

const wordsIn = (kit, note) => {
  const text = ` ${plainWords(note)} `;
  return Object.keys(kit.words).filter((sign) => new RegExp(kit.words[sign]).test(text));
};

const signsOf = (kit, fields) => {
  const signs = {};
  if (fields.any_side_effects === "yes") {
    for (const [name, value] of Object.entries(fields)) {
      if (name.startsWith("side_effect-")) signs[name.slice(12)] = Number(value);
    }
  }
  for (const sign of wordsIn(kit, writtenIn(fields))) signs[sign] = Math.max(signs[sign] ?? 0, PRESENT);
  return signs;
};

// All that was written freely, in the order the server reads it.
const writtenIn = (fields) => {
  const others = Object.keys(fields).filter((name) => name.startsWith("other_effect-")).sort();
  return [fields.note, ...others.map((name) => fields[name]), fields.intake_words].join(" ");
};

// Doses of the rescue medicine of this number, from 1.
const dosesOf = (fields, number) => {
  const end = number === 1 ? "" : `-${number}`;
  const { [`rescue_doses${end}`]: chosen = "", [`more_doses${end}`]: more = "" } = fields;
  return Number(chosen === "more" || (chosen === "" && more) ? more : chosen) || 0;
};

// The rules that these fields of the form raise.
export const flagsIn = (kit, fields) => {
  const signs = signsOf(kit, fields);
  const tooMany = kit.most_doses.some((most, index) => dosesOf(fields, index + 1) > most);
  const isMet = ({ choices, least, severity, fact }) => {
    if (fact) return fact === "too_many_doses" && tooMany;
    const there = choices.filter((any) => any.some((sign) => (signs[sign] ?? 0) >= severity));
    return there.length >= least;
  };
  return kit.rules.filter((rule) => rule.trigger.some((all) => all.every(isMet)));
};

// Put what to do on top of the page; what stood there from an earlier attempt goes.
export const showAdvice = async (fields, trial) => {
  const main = document.querySelector("main");
  main.querySelector("[data-advice-box]")?.remove();
  const pack = await readFact("pack");
  const kit = pack?.kits?.[trial] ?? pack?.safety; // each trial has rules of its own
  const flags = kit ? flagsIn(kit, fields) : [];
  if (!flags.length) return;
  const place = document.createElement("div");
  place.dataset.adviceBox = "";
  place.append(...flags.map((rule) => copy(`advice-${rule.call}`, { text: rule.text })));
  main.prepend(place);
  place.querySelector("[data-advice]").focus();
  window.scrollTo(0, 0);
};
