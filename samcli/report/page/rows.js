// The list: a row is made when it scrolls into view, and goes when it is far away.

const MARGIN_ROWS = 6; // made ahead of what is seen
const COLOURS = 12; // that page.css names
const MOST_PRINTED = 400;

/** An element. @param {string} tag @param {Record<string, string>} [attributes] @param {(Node | string)[]} [children] */
function make(tag, attributes = {}, children = []) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A name as it is, whichever way its letters run. @param {string} text @param {string} [kind] */
function named(text, kind = "") {
  return make("bdi", kind ? { class: kind } : {}, [text]);
}

class Rows {
  /**
   * @param {HTMLElement} list
   * @param {{pictures: ArrayLike<Element>, colours: Map<string, number>, verdicts: Verdicts,
   *   play: (recording: Recording, seconds: number) => void, open: (recording: Recording, event?: Sound) => void}} page
   */
  constructor(list, page) {
    this.list = list;
    this.page = page;
    /** @type {Recording[]} */
    this.recordings = [];
    this.common = ""; // the folder that all names share
    /** @type {Map<number, HTMLElement>} */
    this.made = new Map();
    this.chosen = -1; // place in the list
    this.height = 0;
    this.printing = false;
    let asked = false;
    const later = () => {
      if (asked) return;
      asked = true;
      requestAnimationFrame(() => {
        asked = false;
        this.draw();
      });
    };
    addEventListener("scroll", later, { passive: true });
    addEventListener("resize", () => {
      this.clear();
      later();
    });
    addEventListener("beforeprint", () => this.print(true));
    addEventListener("afterprint", () => this.print(false));
  }

  /** @param {Recording[]} recordings */
  show(recordings) {
    this.recordings = recordings;
    this.chosen = -1;
    this.clear();
    this.draw();
  }

  clear() {
    for (const row of this.made.values()) row.remove();
    this.made.clear();
  }

  draw() {
    if (this.printing) return;
    this.height = parseFloat(getComputedStyle(this.list).getPropertyValue("--row"));
    this.list.style.height = `${this.recordings.length * this.height}px`;
    const top = -this.list.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / this.height) - MARGIN_ROWS);
    const last = Math.min(this.recordings.length, Math.ceil((top + innerHeight) / this.height) + MARGIN_ROWS);
    for (const [place, row] of this.made)
      if ((place < first || place >= last) && !row.contains(document.activeElement)) {
        row.remove();
        this.made.delete(place);
      }
    for (let place = first; place < last; place++) if (!this.made.has(place)) this.add(place);
  }

  /** @param {number} place */
  add(place) {
    const row = this.row(this.recordings[place], place);
    row.style.top = `${place * this.height}px`;
    this.made.set(place, row);
    // In the order of the list, for those who hear the page.
    const next = [...this.made].filter(([other]) => other > place).sort((a, b) => a[0] - b[0])[0];
    this.list.insertBefore(row, next ? next[1] : null);
  }

  /** Make a row again, after a verdict. @param {Recording} recording */
  again(recording) {
    const place = this.recordings.indexOf(recording);
    this.made.get(place)?.remove();
    if (this.made.delete(place)) this.add(place);
  }

  /** Go to a place in the list. @param {number} place */
  choose(place) {
    if (!this.recordings.length) return;
    const before = this.chosen;
    this.chosen = Math.max(0, Math.min(this.recordings.length - 1, place));
    const top = this.list.getBoundingClientRect().top + this.chosen * this.height;
    const room = innerHeight - 80;
    if (top < 0) scrollBy(0, top - 8);
    else if (top + this.height > room) scrollBy(0, top + this.height - room);
    this.draw();
    this.made.get(before)?.classList.remove("chosen");
    const row = this.made.get(this.chosen);
    row?.classList.add("chosen");
    row?.focus({ preventScroll: true });
  }

  /** All rows while the page is printed. @param {boolean} printing */
  print(printing) {
    this.clear();
    this.printing = printing;
    this.list.classList.toggle("printing", printing);
    if (!printing) return this.draw();
    this.list.style.height = "auto";
    for (let place = 0; place < Math.min(this.recordings.length, MOST_PRINTED); place++) this.add(place);
  }

  /** @param {Recording} recording @param {number} place */
  row(recording, place) {
    const judged = this.page.verdicts.judged(recording).filter(Boolean).length;
    const when = recording.clock ? [make("time", {}, [recording.clock.slice(0, 16).replace("T", " ")]), " · "] : [];
    const events = recording.events.length ? ` · ${recording.events.length} event${recording.events.length > 1 ? "s" : ""}` : "";
    const told = make("div", { class: "told" }, [
      make("button", { class: "name", tabindex: "-1", title: recording.name }, [named(recording.name.slice(this.common.length))]),
      make("p", { class: "facts" }, [...when, span(recording.duration), events, judged ? ` · ${judged} judged` : ""]),
      this.said(recording),
      make("p", { class: "tags" }, recording.tags.slice(0, 4).map(([label, score]) => this.tag(label, score))),
    ]);
    told.querySelector(".name")?.addEventListener("click", () => this.page.open(recording));
    const row = make("div", { class: "row", role: "listitem", tabindex: place === Math.max(0, this.chosen) ? "0" : "-1",
      "aria-label": recording.name, "aria-posinset": String(place + 1), "aria-setsize": String(this.recordings.length) },
      [this.picture(recording, LANES), told]);
    if (place === this.chosen) row.classList.add("chosen");
    row.addEventListener("focusin", () => {
      this.chosen = place;
    });
    return row;
  }

  /** @param {Recording} recording */
  said(recording) {
    if (recording.error) return make("p", { class: "error" }, [recording.error]);
    return make("p", { class: "words" }, [(recording.words[0] ?? recording.said[0])?.[2] ?? ""]);
  }

  /** @param {string} label @param {number} score */
  tag(label, score) {
    return make("span", { class: `tag c${this.page.colours.get(label) ?? ""}` }, [named(label), ` ${score.toFixed(2)}`]);
  }

  /** The picture with its lanes; a click plays from there. @param {Recording} recording @param {number} lanes */
  picture(recording, lanes) {
    const image = make("img", { alt: "", draggable: "false" });
    const data = this.page.pictures[recording.number]?.textContent ?? "";
    if (data) image.setAttribute("src", `data:image/webp;base64,${data}`);
    const button = make("button", { class: "image", tabindex: "-1", "aria-label": `Play ${recording.name}` }, [image, make("i", { class: "head" })]);
    button.addEventListener("click", (event) => {
      const box = button.getBoundingClientRect();
      const share = event.detail ? (event.clientX - box.left) / box.width : 0;
      this.page.play(recording, Math.max(0, share) * recording.duration);
    });
    const rows = lanesOf(recording, lanes).map(([label, events]) => this.lane(recording, label, events));
    return make("div", { class: "picture", "data-number": String(recording.number) }, [button, ...rows]);
  }

  /** @param {Recording} recording @param {string} label @param {Sound[]} events */
  lane(recording, label, events) {
    const colour = this.page.colours.get(label) ?? 0;
    const bars = events.map((event) => {
      const verdict = this.page.verdicts.of(recording, event);
      const words = `${label}, ${clockFace(event[1])} to ${clockFace(event[2])}, ${event[3].toFixed(2)}`;
      const bar = make("button", { class: `bar c${colour} ${verdict?.kind ?? ""}`, tabindex: "-1", title: words, "aria-label": words });
      bar.style.left = `${(100 * event[1]) / recording.duration}%`;
      bar.style.width = `${(100 * (event[2] - event[1])) / recording.duration}%`;
      bar.addEventListener("click", () => {
        this.page.play(recording, event[1]);
        this.page.open(recording, event);
      });
      return bar;
    });
    const name = make("span", { class: "lane-name", "aria-hidden": "true" }, [named(label)]);
    // The name stands at the end of the lane that is free, if one is.
    const last = Math.max(...events.map((event) => event[2])) / recording.duration;
    if (last < 0.7 && events[0][1] / recording.duration < 1 - last) name.classList.add("right");
    return make("div", { class: "lane" }, [...bars, name]);
  }
}
