// Fills the pages that stand in when there is no network from the pack: which days are open, by
// the same hours as on the server, and what to take.
import { readEntries, readFact } from "./store.js";
import { copy, fill } from "./page.js";

const shell = document.querySelector("[data-shell]");

// When something ends, on the trial's clock and as the patient writes it.
const clock = (pack) => {
  const hour = new Intl.DateTimeFormat(pack.lang, { timeZone: pack.zone, timeStyle: "short" });
  const full = new Intl.DateTimeFormat(pack.lang, {
    timeZone: pack.zone, weekday: "long", hour: "numeric", minute: "2-digit",
  });
  return (at, now) => (at - now < 20 * 3_600_000 ? hour : full).format(at);
};

const standing = (pack, entries, now) => pack.days.map((day) => {
  const own = entries.filter((entry) => entry.day === day.day && entry.trial === pack.trial
    && entry.owner === pack.owner && entry.state !== "refused");
  const answered = day.known > 0 || own.length > 0;
  return {
    ...day,
    answered,
    waiting: own.some((entry) => entry.state === "waiting"),
    reports: Math.max(day.known, own.filter((entry) => entry.state === "sent").length),
    late: now >= day.closes,
    open: day.opens <= now && now < (answered ? day.closes : day.late_until),
    begun: day.opens <= now && now < day.late_until,
  };
});

const showToday = (pack, days, now) => {
  const at = clock(pack);
  const list = shell.querySelector("[data-days]");
  const begun = days.filter((day) => day.begun).reverse();
  list.replaceChildren(...begun.map((day) => {
    const until = at(day.answered || !day.late ? day.closes : day.late_until, now);
    const name = day.answered ? (day.waiting ? "shell-waiting" : "shell-done") : "shell-open";
    const part = copy(name, { day: day.name, until });
    for (const link of part.querySelectorAll("a")) {
      link.href = `/diary/${day.day}`;
      if (!day.open) link.closest("[data-correct]")?.remove();
    }
    return part;
  }));
  const next = days.find((day) => day.opens > now);
  shell.querySelector("[data-next]").hidden = !next || begun.some((day) => !day.answered);
  fill(shell, { next: next ? `${next.name}, ${at(next.opens, now)}` : "", place: pack.place });
  const today = days.find((day) => now < day.ends);
  const take = shell.querySelector("[data-take]");
  take.hidden = !today || today.ends - now > 25 * 3_600_000 || !(today.kit || today.treatment);
  if (!take.hidden) {
    take.querySelector("[data-kit]").hidden = !today.kit;
    fill(take, { kit: today.kit, treatment: today.treatment, times: today.times ?? "" });
  }
};

const showDiary = (pack, days, now) => {
  const day = days.find((item) => location.pathname.endsWith(`/${item.day}`));
  if (!day?.open) {
    location.replace("/today"); // it says which days are open
    return;
  }
  const form = shell.querySelector("form");
  const known = day.reports;
  Object.assign(form.dataset, {
    owner: pack.owner, trial: pack.trial, day: day.day, dayName: day.name, known,
  });
  form.elements.key.value = crypto.randomUUID();
  document.title = document.title.replace(/^[^·]*/, `${day.name} `);
  shell.querySelector("[data-when=replaces]").hidden = !day.answered;
  shell.querySelector("[data-when=late]").hidden = day.answered || !day.late;
  fill(shell, { day: day.name, until: clock(pack)(day.late ? day.late_until : day.closes, now) });
  shell.hidden = false;
};

// The pages of another trial than the main one: its diary is not on the phone.
const showAway = (pack) => {
  const trial = new URLSearchParams(location.search).get("trial");
  const isOther = Boolean(trial && pack.trial && trial !== pack.trial);
  shell.querySelector("[data-when=main]").hidden = isOther;
  shell.querySelector("[data-when=other]").hidden = !isOther;
};

const begin = async () => {
  const pack = await readFact("pack");
  const clinic = await readFact("clinic");
  if (clinic) fill(shell, { clinic: clinic.name, phone: clinic.phone });
  if (!pack) {
    if (shell.dataset.shell === "diary") location.replace("/today");
    return;
  }
  const now = Date.now() + pack.ahead;
  const days = standing(pack, await readEntries(), now);
  if (shell.dataset.shell === "away") showAway(pack);
  if (shell.dataset.shell === "today") showToday(pack, days, now);
  if (shell.dataset.shell === "diary") showDiary(pack, days, now);
  shell.dataset.filled = "yes";
};

if (shell) {
  begin();
  // As soon as there is a network, the real page; a form that is being filled in stays.
  if (shell.dataset.shell !== "diary") window.addEventListener("online", () => location.reload());
  if ("BroadcastChannel" in globalThis && shell.dataset.shell === "today") {
    new BroadcastChannel("lenitive").addEventListener("message", begin);
  }
}
