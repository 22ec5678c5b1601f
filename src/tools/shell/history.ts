/** `history`: the commands that the session's shell was given. */
import type { CustomCommand } from "just-bash";

export const historyCommand = (history: string[]): CustomCommand => ({
  name: "history",
  async execute([argument]) {
    if (argument === "-c") {
      history.length = 0;
      return { stdout: "", stderr: "", exitCode: 0 };
    }
    const count = argument === undefined ? history.length : Number(argument);
    if (!Number.isInteger(count) || count < 0) {
      const stderr = `bash: history: ${argument}: numeric argument required\n`;
      return { stdout: "", stderr, exitCode: 1 };
    }
    const first = Math.max(0, history.length - count);
    const lines = history
      .slice(first)
      .map((command, i) => `${String(first + i + 1).padStart(5)}  ${command}\n`);
    return { stdout: lines.join(""), stderr: "", exitCode: 0 };
  },
});
