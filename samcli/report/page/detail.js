// One recording in full: its events with their verdicts, what is said of it, and what that rests on.

class Detail {
  /**
   * @param {HTMLElement} panel
   * @param {{rows: Rows, verdicts: Verdicts, play: (recording: Recording, seconds: number) => void,
   *   changed: () => void, closed: () => void}} page
   */
  constructor(panel, page) {
    this.panel = panel;
    this.page = page;
    /** @type {Recording | null} */
    this.recording = null;
    this.at = 0; // the event under judgement
  }

  /** @param {Recording} recording @param {Sound} [event] */
  open(recording, event) {
    this.recording = recording;
    this.at = Math.max(0, event ? soundsOf(recording).indexOf(event) : 0);
    this.draw();
    this.panel.hidden = false;
    document.body.classList.add("open");
    this.mark(true);
  }

  close() {
    if (this.panel.hidden) return;
    this.panel.hidden = true;
    this.recording = null;
    document.body.classList.remove("open");
    this.page.closed();
  }

  draw() {
    const recording = this.recording;
    if (!recording) return;
    const close = make("button", { class: "close", "aria-label": "Close" }, ["✕"]);
    close.addEventListener("click", () => this.close());
    const words = recording.words.map(([start, end, text]) => this.line(start, end, text));
    const said = recording.said.map(([start, end, text]) => this.line(start, end, text));
    const evidence = recording.evidence.map(([label, start, end, score]) => this.line(start, end, `${label} ${score.toFixed(2)}`));
    /** @type {[string, Node[]][]} */
    const parts = [["What is heard", words], ["What that rests on", evidence], ["What is said", said]];
    this.panel.replaceChildren(
      make("div", { class: "top" }, [make("h2", {}, [named(recording.name)]), close]),
      ...(recording.error ? [make("p", { class: "error" }, [recording.error])] : []),
      ...(recording.warning ? [make("p", { class: "warning" }, [recording.warning])] : []),
      this.page.rows.picture(recording, 12),
      make("p", { class: "facts" }, [recording.clock ?? "", recording.clock ? " · " : "", span(recording.duration)]),
      make("p", { class: "tags" }, recording.tags.map(([label, score]) => this.page.rows.tag(label, score))),
      ...(soundsOf(recording).length ? [make("h3", {}, ["Events"]), this.events(recording)] : []),
      ...parts.filter(([, lines]) => lines.length).flatMap(([title, lines]) => [make("h3", {}, [title]), make("ul", { class: "lines" }, lines)]),
    );
  }

  /** @param {number} start @param {number} end @param {string} text */
  line(start, end, text) {
    const at = make("button", { class: "at" }, [`${clockFace(start)}–${clockFace(end)}`]);
    at.addEventListener("click", () => this.recording && this.page.play(this.recording, start));
    return make("li", {}, [at, " ", named(text)]);
  }

  /** @param {Recording} recording */
  events(recording) {
    return make("ol", { class: "events" }, soundsOf(recording).map((event, at) => {
      const [label, start, end, score] = event;
      const verdict = this.page.verdicts.of(recording, event);
      const from = make("button", { class: "at" }, [`${clockFace(start)}–${clockFace(end)}`]);
      from.addEventListener("click", () => {
        this.at = at;
        this.mark();
        this.page.play(recording, start);
      });
      const right = this.choice("✓", `Right: ${label}`, verdict?.kind === "right", () => this.judge(at, "right"));
      const wrong = this.choice("✗", `Wrong: ${label}`, verdict?.kind === "wrong", () => this.judge(at, "wrong"));
      const other = /** @type {HTMLInputElement} */ (make("input", { list: "names", placeholder: "it is …", "aria-label": `${label} is really`, autocomplete: "off" }));
      other.value = verdict?.kind === "other" ? verdict.label : "";
      other.addEventListener("change", () => this.judge(at, "other", other.value.trim()));
      other.addEventListener("focus", () => {
        this.at = at;
        this.mark();
      });
      const line = make("li", { class: verdict?.kind ?? "" }, [
        from, make("span", { class: "label" }, [named(label), make("small", {}, [` ${score.toFixed(2)}`])]), right, wrong, other,
      ]);
      return line;
    }));
  }

  /** @param {string} sign @param {string} words @param {boolean} given @param {() => void} press */
  choice(sign, words, given, press) {
    const button = make("button", { class: "choice", "aria-label": words, title: words, "aria-pressed": String(given) }, [sign]);
    button.addEventListener("click", press);
    return button;
  }

  /** Give a verdict; the same again takes it back. @param {number} at @param {"right" | "wrong" | "other"} kind @param {string} [label] */
  judge(at, kind, label = "") {
    const recording = this.recording;
    const event = recording && soundsOf(recording)[at];
    if (!recording || !event) return;
    const before = this.page.verdicts.of(recording, event);
    const same = before?.kind === kind && before.label === label;
    const said = same || (kind === "other" && !label) ? null : { kind, label };
    this.page.verdicts.give(recording, event, said);
    this.at = at;
    this.draw();
    this.mark(true);
    this.page.changed();
  }

  /** Go to another event, and play it. @param {number} by */
  move(by) {
    const recording = this.recording;
    const events = recording ? soundsOf(recording) : [];
    if (!recording || !events.length) return;
    this.at = Math.max(0, Math.min(events.length - 1, this.at + by));
    this.mark(true);
    this.page.play(recording, events[this.at][1]);
  }

  /** Show which event is under judgement. @param {boolean} [focus] */
  mark(focus = false) {
    const lines = this.panel.querySelectorAll(".events > li");
    lines.forEach((line, at) => line.classList.toggle("now", at === this.at));
    const line = lines[this.at];
    if (focus) /** @type {HTMLElement | null} */ (line?.querySelector(".at") ?? this.panel.querySelector(".close"))?.focus();
  }

  /** Ask what it really is. */
  other() {
    const line = this.panel.querySelectorAll(".events > li")[this.at];
    /** @type {HTMLElement | null} */ (line?.querySelector("input"))?.focus();
  }
}
