// Everything of a terminal that can be seen, or felt by what is typed and printed next, as plain JSON.
//
//   size          [cols, rows]
//   screen        "normal" or "alternate": which one is shown
//   rows          the screen shown; each row is [wrapped, cell, cell, …], wrapped meaning that it goes on from the row
//                 above. A cell is [characters, columns, attributes]; attributes are words, none if they are the
//                 default. Blank cells at the end of a row are left out.
//   normal        the rows of the normal screen while the alternate one is shown, else null
//   scrollback    the rows above the normal screen
//   cursor        column, row (column = cols while the next character wraps), hidden, style, blinking
//   modes         those that xterm.js has, and in `private` those that it does not (beyond.mjs)
//   keyboard      flags of the kitty protocol for each screen, modifyOtherKeys
//   tabs          columns
//   margins       [first row, last row]
//   charsets      G0 to G3, which of them is in use, and what that is
//   pen           the attributes that the next character gets
//   saved         what DECSC has kept, for each screen
//   title, icon   with the stacks that titles were pushed onto
//   colours       palette entries and the three special ones that were set
//   replies       what the terminal has answered since the last report, in base64
//   effects       what it did at once since then: a bell, a query that this one has no answer for, a clipboard set
//
// A cell that was never written is a blank, and a blank has only those attributes that show on it: a snapshot may draw
// the same picture in another way. All reads of xterm.js internals are here and in its two neighbours; they are those
// of @xterm/headless 6.0.0.

/** Attribute bits, as in xterm.js' common/buffer/Constants.ts. */
const MODE = 0x3000000;
const PALETTE_16 = 0x1000000;
const PALETTE_256 = 0x2000000;
const HAS_EXTENDED = 0x10000000;
const UNDERLINE = 0x10000000;

/** A colour in 26 bits: `3` of the sixteen, `p3` of the 256, `#rrggbb`; null if it is the default. */
function colour(bits) {
  switch (bits & MODE) {
    case 0:
      return null;
    case PALETTE_16:
      return `${bits & 0xff}`;
    case PALETTE_256:
      return `p${bits & 0xff}`;
    default:
      return `#${(bits & 0xffffff).toString(16).padStart(6, "0")}`;
  }
}

/**
 * A link's address, and which one it is of those with this address, in the order that they are met on the screen: ids
 * are nobody's business, but which cells belong to one link can be seen.
 */
function link(core, urlId) {
  const data = urlId ? core._oscLinkService.getLinkData(urlId) : undefined;
  if (!data) return null;
  const met = (links[data.uri] ??= []);
  if (!met.includes(urlId)) met.push(urlId);
  return `${data.uri}#${met.indexOf(urlId)}`;
}

/** Of the state that is being put together: the links met. */
let links = {};

/** Attributes as words. `isBlank`: only those that show on a blank. */
function attributes(core, of, isBlank = false) {
  if (of.fg === 0 && of.bg === 0) return "";
  const words = [];
  const extended = of.bg & HAS_EXTENDED ? of.extended : undefined;
  // Not `underlineStyle`, which is dashes for every link.
  const underline = of.fg & UNDERLINE ? ((extended?._ext >> 26) & 7 || 1) : 0;
  const hasInk = underline || of.isInverse() || of.isStrikethrough() || of.isOverline();
  const ink = !isBlank || hasInk;
  const put = (name, value) => value && words.push(value === true ? name : `${name}=${value}`);
  put("fg", ink && colour(of.fg));
  put("bg", colour(of.bg));
  put("bold", ink && !!of.isBold());
  put("dim", ink && !!of.isDim());
  put("italic", !isBlank && !!of.isItalic());
  put("underline", underline);
  put("line", underline && extended && lineColour(extended));
  put("blink", ink && !!of.isBlink());
  put("inverse", !!of.isInverse());
  put("invisible", ink && !!of.isInvisible());
  put("struck", !!of.isStrikethrough());
  put("overline", !!of.isOverline());
  put("protected", !!of.isProtected());
  put("link", extended && link(core, extended.urlId));
  return words.join(" ");
}

/** The colour of underlines. SGR 59 leaves white in xterm.js, for want of a bit; it means none. */
function lineColour(extended) {
  const shown = colour(extended.underlineColor);
  return shown === "#ffffff" ? null : shown;
}

/** Rows `from` to `to` of a buffer. */
function rows(core, buffer, from, to) {
  // `loadCell` fills a cell in; the class itself is not exported.
  const cell = new (buffer.getNullCell().constructor)();
  const shown = [];
  for (let y = from; y < to; y += 1) {
    const line = buffer.lines.get(y);
    const cells = [];
    let length = 0;
    for (let x = 0; line && x < line.length; x += 1) {
      line.loadCell(x, cell);
      const width = cell.getWidth();
      const chars = cell.getChars() || (width === 0 ? "" : " ");
      const words = attributes(core, cell, chars === " ");
      cells.push([chars, width, words]);
      if (chars !== " " || words !== "") length = cells.length;
    }
    cells.length = length;
    shown.push([!!line?.isWrapped, ...cells]);
  }
  return shown;
}

const screen = (core, buffer) => rows(core, buffer, buffer.ybase, buffer.ybase + core.rows);

/** A character set by the letter that chooses it, as far as the tests need it. */
function charset(of) {
  if (!of) return "B";
  if (of.q === "\u2500") return "0";
  return of["#"] === "£" && Object.keys(of).length === 1 ? "A" : JSON.stringify(of);
}

function saved(core, buffer) {
  const kept = buffer.kept;
  return kept
    ? { x: Math.min(kept.x, core.cols), y: Math.min(kept.y, core.rows - 1), pen: attributes(core, kept.pen), origin: kept.origin, g: kept.g.map(charset), level: kept.level }
    : { x: 0, y: 0, pen: "", origin: false, g: ["B", "B", "B", "B"], level: 0 };
}

/** The state of `core`, and of what `beyond` knows. */
export function state(core, beyond) {
  links = {};
  const { active, alt, normal } = core.buffers;
  const { decPrivateModes: dec, modes, isCursorHidden } = core.coreService;
  const options = core.optionsService.rawOptions;
  const handler = core._inputHandler;
  const sets = core._charsetService;
  const isAlternate = active === alt;
  return {
    size: [core.cols, core.rows],
    screen: isAlternate ? "alternate" : "normal",
    rows: screen(core, active),
    normal: isAlternate ? screen(core, normal) : null,
    scrollback: rows(core, normal, 0, normal.ybase),
    cursor: {
      x: active.x,
      y: active.y,
      hidden: isCursorHidden,
      style: dec.cursorStyle ?? "default",
      blink: dec.cursorBlink ?? options.cursorBlink,
    },
    modes: {
      applicationCursor: dec.applicationCursorKeys,
      applicationKeypad: dec.applicationKeypad,
      bracketedPaste: dec.bracketedPasteMode,
      insert: modes.insertMode,
      lineFeedNewLine: options.convertEol,
      origin: dec.origin,
      reverseWraparound: dec.reverseWraparound,
      sendFocus: dec.sendFocus,
      synchronizedOutput: dec.synchronizedOutput,
      wraparound: dec.wraparound,
      mouse: core.coreMouseService.activeProtocol,
      mouseEncoding: beyond.mouseEncoding(),
      private: beyond.privateModes(),
    },
    keyboard: beyond.keyboard(isAlternate),
    tabs: Object.keys(active.tabs).filter((column) => active.tabs[column] && column < core.cols).map(Number),
    margins: [active.scrollTop, active.scrollBottom],
    charsets: { g: [0, 1, 2, 3].map((index) => charset(sets._charsets[index])), level: sets.glevel, active: charset(sets.charset) },
    pen: penWords(core, handler._curAttrData),
    saved: { normal: saved(core, normal), alternate: saved(core, alt) },
    title: handler._windowTitle,
    icon: handler._iconName,
    titles: handler._windowTitleStack,
    icons: handler._iconNameStack,
    colours: beyond.colours(),
  };
}

/** The pen's colour of underlines counts also while nothing is underlined. */
function penWords(core, pen) {
  const words = attributes(core, pen);
  const line = lineColour(pen.extended);
  return line && !words.includes("line=") ? `${words} line=${line}`.trim() : words;
}
