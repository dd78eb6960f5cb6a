// Verdicts: what a person says of an event. They stay in this browser until they are saved as a table.

/** @typedef {{kind: "right" | "wrong" | "other", label: string}} Verdict */

/** The name an event goes by. @param {Recording} recording @param {Sound} event */
function eventKey(recording, event) {
  return `${recording.path}\u0000${event[0]}\u0000${event[1]}`;
}

class Verdicts {
  /** @param {string} key */
  constructor(key) {
    this.place = `sam-report-${key}`;
    /** @type {Map<string, Verdict>} */
    this.given = new Map();
    try {
      this.given = new Map(JSON.parse(localStorage.getItem(this.place) ?? "[]"));
    } catch {
      // A browser that keeps nothing for pages from a disk: they last as long as the page is open.
    }
  }

  /** @param {Recording} recording @param {Sound} event @returns {Verdict | undefined} */
  of(recording, event) {
    return this.given.get(eventKey(recording, event));
  }

  /** Whether each event of a recording was judged. @param {Recording} recording @returns {boolean[]} */
  judged(recording) {
    return soundsOf(recording).map((event) => this.given.has(eventKey(recording, event)));
  }

  /** Give one, or take it back with null. @param {Recording} recording @param {Sound} event @param {Verdict | null} verdict */
  give(recording, event, verdict) {
    if (verdict) this.given.set(eventKey(recording, event), verdict);
    else this.given.delete(eventKey(recording, event));
    try {
      localStorage.setItem(this.place, JSON.stringify([...this.given]));
    } catch {
      // As above.
    }
  }

  /** The table that `sam train tune` and `sam calibrate` read. @param {Recording[]} recordings @param {string} page */
  table(recordings, page) {
    const lines = [["path", "start", "end", "labels", "wrong"]];
    for (const recording of recordings)
      for (const event of soundsOf(recording)) {
        const verdict = this.of(recording, event);
        if (!verdict) continue;
        const label = verdict.kind === "right" ? event[0] : verdict.kind === "other" ? verdict.label : "";
        const wrong = verdict.kind === "right" ? "" : event[0];
        lines.push([placeOf(recording, page), String(event[1]), String(event[2]), label, wrong]);
      }
    return lines.map((cells) => cells.map(cell).join(",") + "\r\n").join("");
  }
}

/** Where a sound lies: outright where the page was opened from a disk, else as its records name it. @param {Recording} recording @param {string} page */
function placeOf(recording, page) {
  if (!recording.source || !page.startsWith("file:")) return plain(recording.path);
  const address = new URL(recording.source, page);
  try {
    const path = decodeURIComponent(address.pathname);
    return /^\/[A-Za-z]:\//.test(path) ? path.slice(1) : path;
  } catch {
    return plain(recording.path);
  }
}

/** A path that no spreadsheet takes for a formula, and that still leads to the same file. @param {string} path */
function plain(path) {
  return /^[=+\-@]/.test(path) ? `./${path}` : path;
}

/** @param {string} text */
function cell(text) {
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
