// What becomes of a call that was just made: of the list of serious things, and of the questions
// about mood.
import { findCall } from "./store.js";
import { askBackgroundSync, sendNow } from "./page.js";

const WORDS = { sent: "told", refused: "lost" };

const settledWord = async (key) => WORDS[(await findCall(key))?.state];

// Send it, and say how it stands: "told", "away" (it waits for a network), "shut" (this phone is not
// known: it waits for a new link) or "lost" (it will never be taken). What waits is said again when it
// is settled, as long as the page is open.
export const follow = async (key, say) => {
  const outcome = await sendNow().catch(() => "away");
  const isShut = outcome === "unknown" || outcome === "revoked";
  const word = await settledWord(key);
  say(word ?? (isShut ? "shut" : "away"));
  if (word) return;
  await askBackgroundSync();
  if (!("BroadcastChannel" in globalThis)) return;
  const channel = new BroadcastChannel("lenitive");
  channel.addEventListener("message", async () => {
    const later = await settledWord(key);
    if (!later) return;
    channel.close();
    say(later);
  });
};

// The form as it was before there were scripts, for a phone that can keep nothing. Returns whether
// it is on its way.
export const sendOldWay = async (form, pack) => {
  try {
    const answer = await fetch(pack, { cache: "no-store", headers: { Accept: "application/json" } });
    const token = answer.headers.get("X-CSRFToken");
    if (!answer.ok || !token) return false;
    form.elements.csrf_token.value = token;
    form.submit();
    return true;
  } catch {
    return false; // no network either
  }
};
