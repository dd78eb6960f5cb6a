// The page put together: filters, heat map, player, keys.

/** @param {string} name @returns {any} */
const by = (name) => document.getElementById(name);
const blocks = document.querySelectorAll("script.recording");
/** @type {Recording[]} */
const recordings = [...blocks].map((block, number) => ({ ...JSON.parse(block.textContent ?? ""), number }));
const pictures = [...document.querySelectorAll("script.its-picture")];
const sounds = document.querySelectorAll("script.its-sound");
const facts = JSON.parse(by("facts").textContent);
const verdicts = new Verdicts(facts.key);
/** @type {Map<string, number>} */
const colours = new Map();
const audio = /** @type {HTMLAudioElement} */ (by("audio"));
/** @type {Set<number> | null} */
let only = null; // the recordings of a cell of the heat map
/** @type {Recording | null} */
let playing = null;
/** @type {string} */
let address = "";

const rows = new Rows(by("rows"), { pictures, colours, verdicts, play, open: (recording, event) => detail.open(recording, event) });
const detail = new Detail(by("detail"), { rows, verdicts, play, changed, closed: () => rows.choose(rows.chosen) });

/** @returns {Wanted} */
function wanted() {
  const number = (/** @type {string} */ name, /** @type {number} */ without) => (by(name).value === "" ? without : Number(by(name).value));
  return {
    text: by("text").value.trim(), label: by("label").value, folder: by("folder").value, judged: by("judged").value,
    score: number("score", 0), shortest: number("shortest", 0), longest: number("longest", Infinity), order: by("order").value,
  };
}

function filter() {
  const want = wanted();
  const kept = recordings.filter((r) => (!only || only.has(r.number)) && fits(r, want, verdicts.judged(r)));
  rows.show(sorted(kept, want));
  by("empty").hidden = kept.length > 0;
  totals(kept);
  if (by("heat").open) drawHeat(kept);
}

/** @param {Recording[]} kept */
function totals(kept) {
  const seconds = kept.reduce((sum, r) => sum + r.duration, 0);
  const events = kept.reduce((sum, r) => sum + r.events.length, 0);
  const failed = kept.filter((r) => r.error).length;
  const of = kept.length < recordings.length ? ` of ${recordings.length}` : "";
  const parts = [`${kept.length}${of} recordings`, span(seconds), `${events} events`];
  if (failed) parts.push(`${failed} could not be heard`);
  if (verdicts.given.size) parts.push(`${verdicts.given.size} verdicts`);
  const top = countLabels(kept).slice(0, 5).map(([label, count]) => `${label} ${count}`);
  by("totals").replaceChildren(make("strong", {}, [parts.join(" · ")]), make("span", {}, [top.join(", ")]));
}

/** @param {Recording[]} kept */
function drawHeat(kept) {
  const { columns, rows: lines, byHour } = heat(kept);
  const most = Math.max(1e-9, ...lines.flatMap((line) => line.cells));
  const head = make("tr", {}, [make("th", { scope: "col" }, [byHour ? "hour" : "recording"]),
    ...columns.map((column, at) => make("th", { scope: "col", title: column.name }, [byHour ? column.name : String(at + 1)]))]);
  const body = lines.map(({ label, cells }) => make("tr", {}, [make("th", { scope: "row" }, [named(label)]),
    ...cells.map((seconds, at) => {
      if (!seconds) return make("td");
      const words = `${label}, ${columns[at].name}: ${span(seconds)}`;
      const button = make("button", { title: words, "aria-label": words });
      button.style.opacity = String(0.2 + 0.8 * Math.sqrt(seconds / most));
      button.addEventListener("click", () => {
        only = columns[at].numbers;
        by("label").value = label;
        filter();
      });
      return make("td", {}, [button]);
    })]));
  by("heatmap").replaceChildren(make("table", {}, [make("thead", {}, [head]), make("tbody", {}, body)]));
}

function changed() {
  if (detail.recording) rows.again(detail.recording);
  totals(rows.recordings);
}

/** Play a recording from a moment on. @param {Recording} recording @param {number} seconds */
function play(recording, seconds) {
  const opus = sounds[recording.number]?.textContent ?? "";
  if (!recording.source && !opus) return;
  by("player").hidden = false;
  by("playing").textContent = recording.name;
  if (playing !== recording) {
    playing = recording;
    if (address) URL.revokeObjectURL(address);
    address = opus ? URL.createObjectURL(new Blob([Uint8Array.from(atob(opus), (c) => c.charCodeAt(0))], { type: "audio/ogg" })) : "";
    audio.src = address || recording.source;
  }
  audio.currentTime = seconds;
  audio.play().catch(() => {}); // `error` says why
}

function toggle() {
  if (playing) void (audio.paused ? audio.play().catch(() => {}) : audio.pause());
  else if (rows.recordings.length) play(rows.recordings[Math.max(0, rows.chosen)], 0);
}

function follow() {
  if (!playing) return;
  const length = playing.duration || audio.duration || 1;
  by("time").textContent = `${clockFace(audio.currentTime)} / ${clockFace(length)}`;
  by("seek").value = String(audio.currentTime / length);
  by("play").textContent = audio.paused ? "▶" : "⏸";
  by("play").setAttribute("aria-label", audio.paused ? "Play" : "Pause");
  document.querySelectorAll(".picture").forEach((picture) => {
    const here = picture.getAttribute("data-number") === String(playing?.number);
    picture.classList.toggle("playing", here);
    if (here) /** @type {HTMLElement} */ (picture.querySelector(".head")).style.left = `${(100 * audio.currentTime) / length}%`;
  });
}

/** What the recordings have between them: colours, and what can be chosen. */
function gather() {
  const counted = countLabels(recordings);
  for (const [label] of counted) if (!colours.has(label)) colours.set(label, colours.size % COLOURS);
  rows.common = commonFolder(recordings);
  choices("label", counted.map(([label, count]) => [label, `${label} (${count})`]));
  choices("folder", [...new Set(recordings.map(folderOf))].sort().map((folder) => [folder, folder]));
  const names = new Set([...counted.map(([name]) => name), ...JSON.parse(by("labels").textContent)]);
  by("names").replaceChildren(...[...names].map((value) => make("option", { value })));
}

/** @param {string} name @param {[string, string][]} options */
function choices(name, options) {
  const chosen = by(name).value;
  by(name).replaceChildren(...[["", "all"], ...options].map(([value, words]) => make("option", { value }, [words])));
  by(name).value = chosen;
}

function saveVerdicts() {
  const blob = new Blob([verdicts.table(recordings, location.href)], { type: "text/csv" });
  const link = /** @type {HTMLAnchorElement} */ (make("a", { download: "verdicts.csv" }));
  link.href = URL.createObjectURL(blob);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** @param {KeyboardEvent} event */
function press(event) {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || by("help").open) return;
  if (event.key === "Escape") return target.matches("input, select") ? target.blur() : detail.close();
  if (target.matches("input:not([type=range]), select, textarea")) return;
  const onButton = target.matches("button, summary");
  /** @type {Record<string, () => void>} */
  const keys = {
    ArrowDown: () => rows.choose(rows.chosen + 1), j: () => rows.choose(rows.chosen + 1),
    ArrowUp: () => rows.choose(rows.chosen - 1), k: () => rows.choose(rows.chosen - 1),
    n: () => detail.move(1), p: () => detail.move(-1), y: () => detail.judge(detail.at, "right"),
    x: () => detail.judge(detail.at, "wrong"), i: () => detail.other(), "/": () => by("text").focus(), "?": () => by("help").showModal(),
  };
  if (!onButton) {
    keys.Enter = () => rows.chosen >= 0 && detail.open(rows.recordings[rows.chosen]);
    keys[" "] = toggle;
  }
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
}

by("filters").addEventListener("input", filter);
by("filters").addEventListener("submit", (/** @type {SubmitEvent} */ event) => event.preventDefault());
by("filters").addEventListener("reset", () => {
  only = null;
  setTimeout(filter);
});
by("clear").addEventListener("click", () => by("filters").reset());
by("export").addEventListener("click", saveVerdicts);
by("keys").addEventListener("click", () => by("help").showModal());
by("heat").addEventListener("toggle", () => by("heat").open && drawHeat(rows.recordings));
by("play").addEventListener("click", toggle);
by("seek").addEventListener("input", () => playing && (audio.currentTime = Number(by("seek").value) * playing.duration));
for (const name of ["timeupdate", "play", "pause", "seeked"]) audio.addEventListener(name, follow);
audio.addEventListener("error", () => (by("time").textContent = "The sound is not where the page expects it."));
document.addEventListener("keydown", press);
gather();
filter();
