// Files that are dropped: each is sent to the server, and shown as soon as it was heard.

/** @type {File[]} */
const waiting = [];
let sending = false;
let done = 0;
let token = ""; // as long as the page is open, and nowhere else

/** @param {Iterable<File>} files */
function drop(files) {
  waiting.push(...files);
  if (!sending) void sendAll();
}

async function sendAll() {
  sending = true;
  while (waiting.length) {
    by("progress").textContent = `Hearing ${waiting[0].name}${waiting.length > 1 ? `; ${waiting.length - 1} more wait` : ""} …`;
    const answer = await send(waiting[0]);
    if (!answer) break; // until there is a token
    take(/** @type {File} */ (waiting.shift()), answer);
  }
  sending = false;
  if (!waiting.length) by("progress").textContent = `${done} done.`;
}

/** What the server says of a file; nothing when it wants a token. @param {File} file @returns {Promise<any>} */
async function send(file) {
  const form = new FormData();
  form.append("file", file, file.name);
  try {
    const answer = await fetch("/page/heard", { method: "POST", body: form, headers: token ? { authorization: `Bearer ${token}` } : {} });
    if (answer.status === 429) {
      await new Promise((go) => setTimeout(go, 1000 * Number(answer.headers.get("retry-after") ?? 1)));
      return send(file);
    }
    if (answer.status === 401) {
      by("progress").textContent = token ? "That is not the token." : "";
      by("token-form").hidden = false;
      by("token").focus();
      return null;
    }
    const told = await answer.json();
    return told.error ? { error: told.error.message } : told;
  } catch {
    return { error: "It could not be sent: the server does not answer, or the file cannot be read." };
  }
}

/** @param {File} file @param {{facts?: Recording, picture?: string, error?: string}} answer */
function take(file, answer) {
  const none = { path: file.name, name: file.name, duration: 0, clock: null, tags: [], events: [], words: [], said: [], evidence: [], warning: "" };
  const recording = { ...none, error: answer.error ?? "", ...answer.facts, source: URL.createObjectURL(file), number: recordings.length };
  recordings.push(recording);
  pictures.push(make("data", {}, [answer.picture ?? ""]));
  done += 1;
  gather();
  filter();
}

by("files").addEventListener("change", () => {
  drop(by("files").files);
  by("files").value = "";
});
by("token-form").addEventListener("submit", (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  token = by("token").value.trim();
  by("token-form").hidden = true;
  if (!sending) void sendAll();
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
document.addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  if (event.dataTransfer) drop(event.dataTransfer.files);
});
