// Reminders as messages of this device. Shown only where the browser can take them; everything
// else on the page works without this file.
const place = document.getElementById("push");
const token = document.querySelector("input[name=csrf_token]")?.value;

const show = (state) => {
  for (const line of place.querySelectorAll("[data-state]")) {
    line.hidden = line.dataset.state !== state;
  }
  place.querySelector("[data-turn=on]").hidden = state === "on" || state === "blocked";
  place.querySelector("[data-turn=off]").hidden = state !== "on";
};

const tell = async (subscription, wanted) => {
  const keys = subscription.toJSON().keys ?? {};
  const body = new URLSearchParams({
    csrf_token: token,
    wanted,
    endpoint: subscription.endpoint,
    p256dh: keys.p256dh ?? "",
    auth: keys.auth ?? "",
  });
  const answer = await fetch(place.dataset.address, { method: "POST", body });
  if (!answer.ok) throw new Error(`${answer.status}`);
};

const turnOn = async (worker) => {
  if (await Notification.requestPermission() !== "granted") return show("blocked");
  const subscription = await worker.pushManager.subscribe({
    userVisibleOnly: true,
    applicationServerKey: place.dataset.key,
  });
  await tell(subscription, "yes");
  return show("on");
};

const turnOff = async (worker) => {
  const subscription = await worker.pushManager.getSubscription();
  if (subscription) {
    await tell(subscription, "no");
    await subscription.unsubscribe();
  }
  return show("off");
};

const begin = async () => {
  const worker = await navigator.serviceWorker.ready;
  const subscription = await worker.pushManager.getSubscription();
  place.hidden = false;
  show(Notification.permission === "denied" ? "blocked" : subscription ? "on" : "off");
  for (const [name, deed] of [["on", turnOn], ["off", turnOff]]) {
    place.querySelector(`[data-turn=${name}]`).addEventListener("click", () => {
      deed(worker).catch(() => show("failed"));
    });
  }
};

if (place && "serviceWorker" in navigator && "PushManager" in window && "Notification" in window) {
  begin();
}
