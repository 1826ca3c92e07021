// The judge: a second terminal emulator (@xterm/headless, the terminal of VS Code) that says what bytes leave on a screen.
//
// One request a line on stdin, JSON:
//
//   {"rows": 24, "cols": 80, "feed": [PIECE, …], "scrollback": 1000, "report": "end"}
//
//   PIECE       bytes in base64, or {"resize": [cols, rows]}
//   scrollback  lines that the terminal keeps; none if left out
//   report      "end" (the default): the state after the last piece; "each": the state before the first piece and after
//               every one
//
// One answer a line for each state asked for, JSON with its keys always in the same order, so that equal states are
// equal lines. `state.mjs` says what is in it. Where xterm.js differs from xterm on purpose of the tests, `mends.mjs`
// puts it right, and says why; what xterm.js does not know at all is kept by `beyond.mjs`.

import { createInterface } from "node:readline";
import { Unicode11Addon } from "@xterm/addon-unicode11";
import xterm from "@xterm/headless";

import { Beyond } from "./beyond.mjs";
import { mend } from "./mends.mjs";
import { state } from "./state.mjs";

/** The states that `request` asks for. */
function judge(request) {
  const terminal = new xterm.Terminal({
    rows: request.rows,
    cols: request.cols,
    scrollback: request.scrollback ?? 0,
    allowProposedApi: true,
    logLevel: "off",
    windowOptions: { getWinSizeChars: true, getWinSizePixels: true, getCellSizePixels: true, pushTitle: true, popTitle: true },
  });
  // Two columns for emoji; without it the widths are those of Unicode 6.
  terminal.loadAddon(new Unicode11Addon());
  terminal.unicode.activeVersion = "11";
  mend(terminal._core);
  const beyond = new Beyond(terminal);
  const states = [];
  const report = () => states.push({ ...state(terminal._core, beyond), ...beyond.takeEffects() });
  if (request.report === "each") report();
  for (const piece of request.feed) {
    if (piece.resize) {
      terminal.resize(...piece.resize);
    } else {
      // The same parser as behind `write`, but at once: nothing here is asynchronous.
      terminal._core.writeSync(Buffer.from(piece, "base64"));
    }
    if (request.report === "each") report();
  }
  if (request.report !== "each") report();
  terminal.dispose();
  return states;
}

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const answers = judge(JSON.parse(line)).map((it) => JSON.stringify(it) + "\n");
  process.stdout.write(answers.join(""));
}
