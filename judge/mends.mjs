// Where xterm.js falls short of xterm in what the tests are about, it is put right here; each mend says how xterm has it.

/** Mends the terminal behind a `Terminal`. */
export function mend(core) {
  savedCursor(core);
  sharedMargins(core);
  originMode(core);
  tabAtTheMargin(core);
  linesOutside(core);
  links(core);
  combining(core);
  charsets(core);
  alignment(core);
  fullReset(core);
}

/**
 * DECSC keeps the position on the *screen*, the wrap that is due, all attributes, DECOM and the character sets
 * (xterm: CursorSave, CursorRestore). xterm.js keeps the row by its number from the first line of the scrollback, so the
 * saved row moves up when the screen scrolls; and neither the wrap, underline styles, DECOM nor G0 to G3.
 */
function savedCursor(core) {
  const handler = core._inputHandler;
  const sets = core._charsetService;
  handler.saveCursor = () => {
    core.buffer.kept = {
      x: core.buffer.x,
      y: core.buffer.y,
      pen: handler._curAttrData.clone(),
      origin: core.coreService.decPrivateModes.origin,
      g: [0, 1, 2, 3].map((index) => sets._charsets[index]),
      level: sets.glevel,
    };
    return true;
  };
  handler.restoreCursor = () => {
    const blank = handler._curAttrData.clone();
    blank.fg = 0;
    blank.bg = 0;
    blank.extended = blank.extended.clone();
    blank.extended.underlineStyle = 0;
    blank.extended.underlineColor = 0;
    const kept = core.buffer.kept ?? { x: 0, y: 0, pen: blank, origin: false, g: [], level: 0 };
    // A link is not of the attributes that DECSC keeps.
    const { urlId } = handler._curAttrData.extended;
    handler._curAttrData = kept.pen.clone();
    handler._curAttrData.extended = handler._curAttrData.extended.clone();
    handler._curAttrData.extended.urlId = urlId;
    handler._curAttrData.updateExtended();
    core.coreService.decPrivateModes.origin = kept.origin;
    [0, 1, 2, 3].forEach((index) => sets.setgCharset(index, kept.g[index]));
    sets.setgLevel(kept.level);
    core.buffer.x = kept.x;
    core.buffer.y = kept.y;
    handler._restrictCursor(core.cols);
    return true;
  };
  const softReset = handler.softReset.bind(handler);
  handler.softReset = (params) => {
    core.buffer.kept = undefined;
    // DECSTR leaves these alone (xterm: ReallyReset); xterm.js resets all of them.
    const { bracketedPasteMode, sendFocus, synchronizedOutput, cursorStyle, cursorBlink } = core.coreService.decPrivateModes;
    softReset(params);
    Object.assign(core.coreService.decPrivateModes, { bracketedPasteMode, sendFocus, synchronizedOutput, cursorStyle, cursorBlink });
    return true;
  };
}

/** Margins and tab stops are the terminal's, not a screen's (xterm: TScreen.top_marg, tabs); xterm.js has them twice. */
function sharedMargins(core) {
  const buffers = core.buffers;
  for (const name of ["activateAltBuffer", "activateNormalBuffer"]) {
    const activate = buffers[name].bind(buffers);
    buffers[name] = (...rest) => {
      const { scrollTop, scrollBottom, tabs } = buffers.active;
      activate(...rest);
      Object.assign(buffers.active, { scrollTop, scrollBottom, tabs });
    };
  }
}

/** In origin mode xterm.js adds the top margin to where a relative move, CHA or HPA leads: the row would change. */
function originMode(core) {
  const handler = core._inputHandler;
  const go = (x, y) => {
    core.buffer.x = x;
    core.buffer.y = y;
    handler._restrictCursor();
    return true;
  };
  handler._moveCursor = (x, y) => {
    handler._restrictCursor();
    go(core.buffer.x + x, core.buffer.y + y);
  };
  handler.cursorCharAbsolute = (params) => go((params.params[0] || 1) - 1, core.buffer.y);
  handler.charPosAbsolute = handler.cursorCharAbsolute;
}

/** While a wrap is due the cursor is on the last column, and so is a tab stop set there; xterm.js sets it behind. */
function tabAtTheMargin(core) {
  const handler = core._inputHandler;
  for (const name of ["tabSet", "tabClear"]) {
    const act = handler[name].bind(handler);
    handler[name] = (params) => {
      const { x } = core.buffer;
      core.buffer.x = Math.min(x, core.cols - 1);
      act(params);
      core.buffer.x = x;
      return true;
    };
  }
}

/** IL and DL outside the margins do nothing; in xterm.js a wrap that is due is forgotten. */
function linesOutside(core) {
  const handler = core._inputHandler;
  for (const name of ["insertLines", "deleteLines"]) {
    const act = handler[name].bind(handler);
    handler[name] = (params) => {
      const { y, scrollTop, scrollBottom } = core.buffer;
      return y < scrollTop || y > scrollBottom || act(params);
    };
  }
}

/** A link lives on when the row is erased that it began in. */
function links(core) {
  core._oscLinkService._removeMarkerFromLink = () => {};
}

/** A combining character joins what is left of it, whatever sequence came between; in xterm.js only what came just before. */
function combining(core) {
  const handler = core._inputHandler;
  const print = handler.print.bind(handler);
  handler.print = (data, start, end) => {
    const { x, y, ybase, lines } = core.buffer;
    if (!handler._parser.precedingJoinState && x > 0) {
      const width = lines.get(ybase + y).getWidth(x - 1) || 2;
      // As UnicodeService.createPropertyValue has it.
      handler._parser.precedingJoinState = width << 1;
    }
    print(data, start, end);
  };
}

/**
 * ASCII, British and graphics are what a terminal in UTF-8 has; national sets want a mode of their own in xterm, and GR
 * is not used. xterm.js takes all sets, LS1R to LS3R for LS1 to LS3, and has `ESC % @` and `ESC % G`, which choose between
 * UTF-8 and not, reset G0.
 */
function charsets(core) {
  const handler = core._inputHandler;
  const select = handler.selectCharset.bind(handler);
  handler.selectCharset = (of) => !"()*+".includes(of[0]) || !"0AB".includes(of[1]) || select(of);
  for (const final of ["~", "}", "|"]) handler.registerEscHandler({ final }, () => true);
  for (const final of ["@", "G"]) handler.registerEscHandler({ intermediates: "%", final }, () => true);
}

/** DECALN ends margins and origin mode first, and its E have no attributes (xterm: CASE_DECALN). */
function alignment(core) {
  const handler = core._inputHandler;
  const fill = handler.screenAlignmentPattern.bind(handler);
  handler.screenAlignmentPattern = () => {
    core.coreService.decPrivateModes.origin = false;
    Object.assign(core.buffer, { scrollTop: 0, scrollBottom: core.rows - 1 });
    const pen = handler._curAttrData;
    handler._curAttrData = pen.clone();
    Object.assign(handler._curAttrData, { fg: 0, bg: 0 });
    fill();
    handler._curAttrData = pen;
    return true;
  };
}

/** RIS shows the cursor, and ends LNM and ?12; in xterm.js these are options, which outlive it. */
function fullReset(core) {
  core._inputHandler.onRequestReset(() => {
    core.coreService.isCursorHidden = false;
    core.optionsService.options.convertEol = false;
    core.optionsService.options.cursorBlink = false;
  });
}
