// What xterm.js leaves to others or does not know: keyboard protocols, further private modes, colours, queries.

/**
 * Modes that xterm.js does not know: reverse video, key repeat, what the backarrow key sends, scrolling by keys and
 * wheel, meta and alt keys, urgency, grapheme clusters, reports of the colour scheme and of the size.
 */
const NOTED = new Set([5, 8, 67, 1007, 1010, 1011, 1034, 1035, 1036, 1037, 1039, 1042, 1043, 2027, 2031, 2048]);
/** Encodings of mouse events. xterm has one at a time, and a reset is meant for that one; xterm.js knows two of them. */
const MOUSE_ENCODINGS = new Set([1005, 1006, 1015, 1016]);
/** Modes that are set from the start. */
const SET_AT_FIRST = new Set([8, 1034, 1035]);
/** How deep the stacks of keyboard flags are. */
const DEEPEST = 16;

export class Beyond {
  #terminal;
  #modes = new Map();
  #mouseEncoding = 0;
  #keys = { normal: [0], alternate: [0] };
  #modifyOtherKeys = 0;
  #colours = new Map();
  #replies = "";
  #effects = [];

  constructor(terminal) {
    this.#terminal = terminal;
    const core = terminal._core;
    const { parser } = terminal;
    terminal.onData((data) => (this.#replies += data));
    terminal.onBell(() => this.#effects.push("bell"));
    core._inputHandler.onRequestReset(() => this.#reset());
    core._inputHandler.onColor((events) => events.forEach((event) => this.#colour(event)));
    core._inputHandler.onRequestWindowsOptionsReport((kind) => this.#effects.push(`query: size ${kind}`));

    // `false`: what xterm.js itself does with it is done too.
    parser.registerCsiHandler({ prefix: "?", final: "h" }, (params) => this.#mode(params, true));
    parser.registerCsiHandler({ prefix: "?", final: "l" }, (params) => this.#mode(params, false));

    const flags = (params, index, otherwise) => (params.length > index && params[index] > 0 ? params[index] : otherwise);
    // https://sw.kovidgoyal.net/kitty/keyboard-protocol/: each screen has a stack of flags; an empty one means 0.
    parser.registerCsiHandler({ prefix: ">", final: "u" }, (params) => {
      const stack = this.#stack();
      stack.push(flags(params, 0, 0));
      if (stack.length > DEEPEST) stack.shift();
      return true;
    });
    parser.registerCsiHandler({ prefix: "<", final: "u" }, (params) => {
      const stack = this.#stack();
      stack.splice(Math.max(stack.length - flags(params, 0, 1), 0));
      if (stack.length === 0) stack.push(0);
      return true;
    });
    parser.registerCsiHandler({ prefix: "=", final: "u" }, (params) => {
      const stack = this.#stack();
      const [wanted, how] = [flags(params, 0, 0), flags(params, 1, 1)];
      const now = stack.at(-1);
      stack[stack.length - 1] = how === 2 ? now | wanted : how === 3 ? now & ~wanted : wanted;
      return true;
    });
    // XTMODKEYS: `CSI > 4 ; v m`, and `CSI > 4 m` or `CSI > m` as the reset.
    parser.registerCsiHandler({ prefix: ">", final: "m" }, (params) => {
      if (params[0] === 4 || params.length === 0 || params[0] === 0) this.#modifyOtherKeys = flags(params, 1, 0);
      return true;
    });
    parser.registerCsiHandler({ prefix: ">", final: "n" }, (params) => {
      if (params[0] === 4) this.#modifyOtherKeys = 0;
      return true;
    });

    const query = (name) => () => this.#effects.push(`query: ${name}`) > 0;
    parser.registerCsiHandler({ prefix: "?", final: "u" }, query("keyboard flags"));
    parser.registerCsiHandler({ prefix: ">", final: "q" }, query("version"));
    parser.registerCsiHandler({ prefix: "=", final: "c" }, query("tertiary attributes"));
    parser.registerDcsHandler({ intermediates: "+", final: "q" }, query("capability"));
    for (const [number, name] of [[9, "notification"], [52, "clipboard"], [777, "notification"]]) {
      parser.registerOscHandler(number, (data) => this.#effects.push(`${name}: ${data}`) > 0);
    }
  }

  /** Private modes that xterm.js does not know and that are not as they are at first. */
  privateModes() {
    return [...this.#modes].filter(([mode, set]) => set !== SET_AT_FIRST.has(mode)).map(([mode, set]) => (set ? mode : -mode)).sort((a, b) => a - b);
  }

  mouseEncoding() {
    return this.#mouseEncoding;
  }

  keyboard() {
    return { kitty: this.#keys, modifyOtherKeys: this.#modifyOtherKeys };
  }

  colours() {
    return Object.fromEntries([...this.#colours].sort(([a], [b]) => a - b));
  }

  /** What was answered and done since it was last asked for. */
  takeEffects() {
    const taken = { replies: Buffer.from(this.#replies).toString("base64"), effects: this.#effects };
    this.#replies = "";
    this.#effects = [];
    return taken;
  }

  #stack() {
    const { active, alt } = this.#terminal._core.buffers;
    return active === alt ? this.#keys.alternate : this.#keys.normal;
  }

  #mode(params, set) {
    for (const mode of params.flat()) {
      if (MOUSE_ENCODINGS.has(mode)) {
        if (set) this.#mouseEncoding = mode;
        else if (this.#mouseEncoding === mode) this.#mouseEncoding = 0;
      } else if (NOTED.has(mode)) {
        this.#modes.set(mode, set);
      }
    }
    return false;
  }

  /** xterm.js hands colours to who draws: 0 asks, 1 sets, 2 resets; 256 to 258 are foreground, background and cursor. */
  #colour({ type, index, color }) {
    if (type === 0) {
      this.#effects.push(`query: colour ${index}`);
    } else if (type === 1) {
      this.#colours.set(index, `#${color.map((part) => part.toString(16).padStart(2, "0")).join("")}`);
    } else if (index === undefined) {
      [...this.#colours.keys()].filter((key) => key < 256).forEach((key) => this.#colours.delete(key));
    } else {
      this.#colours.delete(index);
    }
  }

  #reset() {
    this.#modes.clear();
    this.#mouseEncoding = 0;
    this.#keys = { normal: [0], alternate: [0] };
    this.#modifyOtherKeys = 0;
  }
}
