"use strict";
// What the page knows: the recordings, and which of them are wanted. Nothing here touches the document.

/**
 * @typedef {[label: string, start: number, end: number, score: number]} Sound
 * @typedef {[label: string, score: number]} Tag
 * @typedef {[start: number, end: number, text: string]} Words
 * @typedef {{path: string, name: string, source: string, duration: number, clock: string | null, tags: Tag[],
 *   events: Sound[], words: Words[], said: Words[], evidence: Sound[], error: string, warning: string, number: number}} Recording
 * @typedef {{text: string, label: string, folder: string, score: number, shortest: number, longest: number,
 *   judged: string, order: string}} Wanted
 */

const LANES = 4; // kinds of sound below a picture
const HEAT_LABELS = 14;
const HEAT_FILES = 40;

/** The folder a recording lies in. @param {Recording} recording */
function folderOf(recording) {
  const parts = recording.name.split("/");
  return parts.length > 1 ? parts.slice(0, -1).join("/") : ".";
}

/** The folder that all recordings lie in, with its slash: nobody needs to read it on every row. @param {Recording[]} recordings */
function commonFolder(recordings) {
  const [first, ...others] = recordings.map((r) => r.name.slice(0, r.name.lastIndexOf("/") + 1));
  let common = first ?? "";
  for (const folder of others) while (!folder.startsWith(common)) common = common.slice(0, common.lastIndexOf("/", common.length - 2) + 1);
  return common;
}

/** How often each label is heard, the most frequent first. @param {Recording[]} recordings @returns {[string, number][]} */
function countLabels(recordings) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const recording of recordings)
    for (const [label] of recording.events.length ? recording.events : recording.tags)
      counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
}

/** The sounds of a recording, as events or else as tags of all of it. @param {Recording} recording @returns {Sound[]} */
function soundsOf(recording) {
  if (recording.events.length) return recording.events;
  return recording.tags.map(([label, score]) => [label, 0, recording.duration, score]);
}

/** The highest score of those that count. @param {Recording} recording @param {string} label */
function bestScore(recording, label) {
  let best = 0;
  for (const [name, , , score] of soundsOf(recording)) if (!label || name === label) best = Math.max(best, score);
  return best;
}

/** How near to a coin's toss its least sure event is. @param {Recording} recording */
function doubt(recording) {
  return Math.min(1, ...soundsOf(recording).map(([, , , score]) => Math.abs(score - 0.5)));
}

/** Whether a recording is wanted. @param {Recording} recording @param {Wanted} wanted @param {boolean[]} judged */
function fits(recording, wanted, judged) {
  const { text, label, folder, score, shortest, longest } = wanted;
  if (folder && folderOf(recording) !== folder) return false;
  if (recording.duration < shortest || recording.duration > longest) return false;
  if ((label || score) && !soundsOf(recording).some((e) => (!label || e[0] === label) && e[3] >= score)) return false;
  if (wanted.judged === "open" && (!judged.length || judged.every(Boolean))) return false;
  if (wanted.judged === "given" && !judged.some(Boolean)) return false;
  if (!text) return true;
  const all = [recording.name, recording.error, ...recording.words.map((w) => w[2]), ...recording.said.map((w) => w[2])];
  all.push(...soundsOf(recording).map((e) => e[0]));
  const within = all.join("\n").toLowerCase();
  return text.toLowerCase().split(/\s+/).every((word) => within.includes(word));
}

/** In the order wanted. @param {Recording[]} recordings @param {Wanted} wanted @returns {Recording[]} */
function sorted(recordings, wanted) {
  /** @type {Record<string, (a: Recording, b: Recording) => number>} */
  const orders = {
    name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }),
    clock: (a, b) => timeOf(a) - timeOf(b),
    longest: (a, b) => b.duration - a.duration,
    score: (a, b) => bestScore(b, wanted.label) - bestScore(a, wanted.label),
    doubt: (a, b) => doubt(a) - doubt(b),
    events: (a, b) => b.events.length - a.events.length,
  };
  const order = orders[wanted.order];
  return order ? [...recordings].sort((a, b) => order(a, b) || a.number - b.number) : recordings;
}

/** @param {Recording} recording */
function timeOf(recording) {
  return recording.clock ? Date.parse(recording.clock) : Infinity;
}

/**
 * Labels by hour of the day where clocks are known, else by recording: the seconds in each cell.
 * @param {Recording[]} recordings
 * @returns {{columns: {name: string, numbers: Set<number>}[], rows: {label: string, cells: number[]}[], byHour: boolean}}
 */
function heat(recordings) {
  const labels = countLabels(recordings).slice(0, HEAT_LABELS).map(([label]) => label);
  const byHour = recordings.some((r) => r.clock);
  const share = Math.max(1, Math.ceil(recordings.length / HEAT_FILES));
  const count = byHour ? 24 : Math.ceil(recordings.length / share);
  const columns = Array.from({ length: count }, (_, at) => ({
    name: byHour ? String(at).padStart(2, "0") : share === 1 ? recordings[at].name : `${at * share + 1}–${Math.min(recordings.length, (at + 1) * share)}`,
    numbers: /** @type {Set<number>} */ (new Set()),
  }));
  const rows = labels.map((label) => ({ label, cells: new Array(count).fill(0) }));
  const place = new Map(labels.map((label, at) => [label, at]));
  recordings.forEach((recording, number) => {
    for (const [label, start, end] of soundsOf(recording)) {
      const row = place.get(label);
      const column = byHour ? hourOf(recording, start) : Math.floor(number / share);
      if (column === null) continue;
      columns[column].numbers.add(recording.number);
      if (row !== undefined) rows[row].cells[column] += end - start;
    }
  });
  return { columns, rows, byHour };
}

/** The hour of the day, where the recording was made. @param {Recording} recording @param {number} seconds */
function hourOf(recording, seconds) {
  const match = recording.clock?.match(/T(\d\d):(\d\d):(\d\d)/);
  if (!match) return null;
  return Math.floor((Number(match[1]) * 3600 + Number(match[2]) * 60 + Number(match[3]) + seconds) / 3600) % 24;
}

/** The lanes of a recording: its most frequent labels, each with its events. @param {Recording} recording @param {number} most */
function lanesOf(recording, most) {
  /** @type {Map<string, Sound[]>} */
  const lanes = new Map();
  for (const event of recording.events) lanes.set(event[0], [...(lanes.get(event[0]) ?? []), event]);
  const length = (/** @type {Sound[]} */ events) => events.reduce((sum, e) => sum + e[2] - e[1], 0);
  return [...lanes].sort((a, b) => length(b[1]) - length(a[1])).slice(0, most);
}

/** 0:03.2 or 1:02:03 @param {number} seconds */
function clockFace(seconds) {
  const tenths = Math.round(seconds * 10);
  const minutes = Math.floor(tenths / 600);
  const rest = String(Math.floor((tenths % 600) / 10)).padStart(2, "0");
  if (minutes < 60) return `${minutes}:${rest}.${tenths % 10}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}

/** 14 s, 3 min, 2.5 h @param {number} seconds */
function span(seconds) {
  if (seconds < 90) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
