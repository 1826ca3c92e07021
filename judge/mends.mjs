// Where xterm.js falls short of xterm in what the tests are about, it is put right here; each mend says how xterm has it.

/** Mends the terminal behind a `Terminal`. */
export function mend(core) {
  savedCursor(core);
  sharedMargins(core);
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
    return softReset(params);
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

/** RIS ends LNM and ?12 too; in xterm.js they are options, which outlive it. */
function fullReset(core) {
  core._inputHandler.onRequestReset(() => {
    core.optionsService.options.convertEol = false;
    core.optionsService.options.cursorBlink = false;
  });
}
