/** Reads a shell script for `readScript`, which says what it is for. */
import { baseOf, DECISIVE, runsOthers, withoutOptions } from "./command-names.ts";
import {
  ASSIGNMENT,
  bodyOf,
  command,
  type Document,
  GRAMMAR,
  HIDDEN_DEPTH,
  MAX_ARGUMENTS,
  MAX_DEPTH,
  NAME,
  newFrame,
  PARAMETER,
  type ShellCommand,
  unescaped,
} from "./script-parts.ts";

export class ScriptReader {
  readonly commands: ShellCommand[] = [];
  readonly hidden: ShellCommand[] = [];
  plain = true;
  readonly #source: string;
  #depth: number;
  #at = 0;
  #now = newFrame();
  #documents: Document[] = [];
  #subscripts = false;
  /** `<<` shifts here and begins no document. */
  #arithmetic = 0;

  constructor(source: string, depth: number) {
    this.#source = source;
    this.#depth = depth;
  }

  /** Reads commands up to `end`, which is consumed, or to the end of the source. */
  list(end: ")" | null): void {
    while (this.#at < this.#source.length) {
      const char = this.#next();
      if (char !== ")") this.#step(char);
      else if (this.#now.cases > 0) this.#drop();
      else {
        this.#endCommand();
        if (end === ")") return;
        this.plain = false;
      }
    }
    this.#endCommand();
    if (end !== null || this.#documents.length > 0) this.plain = false;
  }

  #next(): string {
    const char = this.#source[this.#at] ?? "";
    this.#at += 1;
    return char;
  }

  #peek(): string {
    return this.#source[this.#at] ?? "";
  }

  #step(char: string): void {
    switch (char) {
      case " ":
      case "\t":
        this.#endWord();
        return;
      case "\n":
        this.#endCommand();
        this.#readDocuments();
        return;
      case "&":
        if (this.#peek() === ">") this.#redirection(this.#next());
        else this.#endCommand();
        return;
      case ";":
      case "|":
        this.#endCommand();
        return;
      case "(":
        this.#parenthesis();
        return;
      case "#":
        if (this.#now.word !== null || this.#arithmetic > 0) this.#add(char);
        else while (this.#at < this.#source.length && this.#peek() !== "\n") this.#at += 1;
        return;
      case ">":
      case "<":
        this.#redirection(char);
        return;
      case "!":
        // The shell takes `!rm` for a negation too.
        if (!this.#isNegation()) this.#add(char);
        return;
      case "[":
        // Behind a name it begins a subscript, which is computed.
        if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(this.#now.word ?? "")) this.#subscript();
        this.#add(char);
        return;
      case "'":
        this.#quote();
        this.#literal();
        return;
      case '"':
        this.#quote();
        this.#double('"', true);
        return;
      default:
        // The shell drops white space of any kind at the beginning of a line.
        if (/\s/.test(char)) this.plain = false;
        if (this.#now.word !== null || this.#now.role !== "word" || !/\s/.test(char))
          this.#expansion(char, false);
    }
  }

  /** Where it ends is not known, nor whether quotes mean anything in it. */
  #subscript(): void {
    if (!this.#subscripts) this.#hide(this.#source.slice(this.#at).replace(/['"`\\]/g, " "));
    this.#subscripts = true;
    this.plain = false;
  }

  #isNegation(): boolean {
    const { word, words, begun, role } = this.#now;
    return word === null && words.length === 0 && !begun && role === "word";
  }

  /** A character that means the same at the top and inside of double quotes, or itself. */
  #expansion(char: string, inQuotes: boolean): void {
    if (char === "\\") {
      const escaped = this.#next();
      // A line that goes on: neither character is there.
      if (escaped === "\n") {
        // What it joins is not one word for every shell.
        if (this.#now.word !== null) this.plain = false;
        return;
      }
      if (escaped === "") this.plain = false;
      this.#quote();
      this.#add(inQuotes && !'"$`\\'.includes(escaped) ? `\\${escaped}` : escaped);
    } else if (char === "`") this.#backticks();
    else if (char === "$") this.#dollar(inQuotes);
    else this.#add(char);
  }

  #add(text: string): void {
    this.#now.word = (this.#now.word ?? "") + text;
  }

  /** A value may be quoted without making its assignment a word. */
  #quote(): void {
    if (!ASSIGNMENT.test(this.#now.word ?? "")) this.#now.quoted = true;
    this.#add("");
  }

  #literal(): void {
    const end = this.#source.indexOf("'", this.#at);
    if (end < 0) this.plain = false;
    this.#add(this.#source.slice(this.#at, end < 0 ? undefined : end));
    this.#at = end < 0 ? this.#source.length : end + 1;
  }

  #double(end: '"' | "}", inQuotes: boolean): void {
    while (this.#at < this.#source.length) {
      const char = this.#next();
      if (char === end) return;
      if (end === "}" && char === '"') this.#double('"', true);
      else if (char === "'" && !inQuotes) this.#literal();
      else this.#expansion(char, inQuotes);
    }
    this.plain = false;
  }

  /** What a variable holds is not known; what a substitution runs is a script of its own. */
  #dollar(inQuotes: boolean): void {
    const next = this.#peek();
    // `$"…"` is a text to be translated, `$'…'` one with its own escapes.
    if (!inQuotes && next === '"') return;
    if (!inQuotes && next === "'") {
      this.#escaped();
      return;
    }
    this.#add("$");
    if (next === "(") {
      this.#at += 1;
      this.#inside(this.#peek() === "(" ? 1 : 0);
    } else if (next === "{") {
      const known = PARAMETER.exec(this.#source.slice(this.#at, this.#at + 200));
      if (known) {
        this.#add(known[0]);
        this.#at += known[0].length;
        return;
      }
      // It may set a variable, or run what is in one.
      this.plain = false;
      this.#at += 1;
      if (this.#depth >= MAX_DEPTH) return;
      this.#depth += 1;
      this.#double("}", inQuotes);
      this.#depth -= 1;
    } else if (next === "[") this.plain = false;
    else if (/[$?!@*#0-9-]/.test(next)) this.#add(this.#next());
  }

  /** `$'…'`, in which a backslash may spell any character. */
  #escaped(): void {
    this.#quote();
    const text = /^'((?:[^'\\]|\\[\s\S])*)'?/.exec(this.#source.slice(this.#at));
    const raw = text?.[1] ?? "";
    this.#at += text?.[0].length ?? 1;
    if (raw.includes("\\") || !text?.[0].endsWith("'")) this.plain = false;
    this.#add(unescaped(raw));
  }

  #backticks(): void {
    // Its own rules of quoting make it hard to know where it ends.
    this.plain = false;
    this.#add("$");
    const from = this.#at;
    while (this.#at < this.#source.length && this.#peek() !== "`") {
      this.#at += this.#peek() === "\\" ? 2 : 1;
    }
    const inner = this.#source.slice(from, this.#at).replace(/\\([`$\\"])/g, "$1");
    this.#at += 1;
    this.#hide(inner);
  }

  /** A list in parentheses, in the middle of whatever is being read. */
  #inside(arithmetic: number): void {
    if (this.#depth >= MAX_DEPTH) {
      this.plain = false;
      return;
    }
    if (arithmetic > 0) this.plain = false;
    const kept = this.#now;
    this.#now = newFrame();
    this.#depth += 1;
    this.#arithmetic += arithmetic;
    this.list(")");
    this.#arithmetic -= arithmetic;
    this.#depth -= 1;
    this.#now = kept;
  }

  #parenthesis(): void {
    const { word, words, header, role } = this.#now;
    // Functions, arrays, patterns and the heads of loops have parentheses too.
    const subshell = word === null && words.length === 0 && !header && role === "word";
    if (!subshell) this.plain = false;
    this.#inside(this.#peek() === "(" ? 1 : 0);
    // In a pattern such as `?(a)b` the word goes on.
    if (!/[?*+@!]$/.test(word ?? "")) this.#endCommand();
  }

  #redirection(char: string): void {
    // The number of a file descriptor stands before it.
    const { word, quoted, role } = this.#now;
    const descriptor = role === "word" && !quoted && /^[0-9]+$/.test(word ?? "");
    if (descriptor) this.#now.word = null;
    else if (word !== null && this.#peek() === "(") this.plain = false;
    this.#endWord();
    const rest = this.#source.slice(this.#at - 1, this.#at + 2);
    const operator = /^(<<<|<<-|<<|<&|<>|<\(|<|>>|>\||>&|>\(|>)/.exec(rest)?.[0] ?? char;
    this.#at += operator.length - 1;
    if (operator.endsWith("(")) {
      this.#add("$");
      this.#inside(this.#peek() === "(" ? 1 : 0);
      return;
    }
    const shifts = this.#arithmetic > 0 && operator.startsWith("<<");
    this.#now.operator = operator;
    if (operator === "<<<" || shifts) this.#now.role = "text";
    else this.#now.role = operator.startsWith("<<") ? "document" : "file";
  }

  /** The command is done with; the `case`s around it are not. */
  #drop(): void {
    this.#now = newFrame(this.#now.cases);
  }

  #endWord(): void {
    const { word, quoted } = this.#now;
    this.#now.word = null;
    this.#now.quoted = false;
    if (word === null) return;
    if (this.#now.role !== "word") this.#target(word, quoted);
    else if (this.#now.words.length > 0 || quoted || !this.#grammar(word))
      this.#now.words.push(word);
  }

  /** The word is one of the grammar and none of the command. */
  #grammar(word: string): boolean {
    if (this.#now.header) return false;
    const assigned = ASSIGNMENT.exec(word)?.[1];
    if (assigned !== undefined) {
      this.#now.begun = true;
      if (DECISIVE.test(assigned)) this.plain = false;
      return true;
    }
    if (this.#now.begun) return false;
    if (word === "for") this.#now.header = true;
    if (word === "case") {
      this.#now.cases += 1;
      this.plain = false;
    }
    if (word === "esac") this.#now.cases = Math.max(0, this.#now.cases - 1);
    // Without a space behind it, a brace is the name of a command.
    if (word === "{" && !/\s/.test(this.#source[this.#at - 1] ?? "")) return false;
    return GRAMMAR.has(word);
  }

  #target(word: string, quoted: boolean): void {
    const { role, operator } = this.#now;
    this.#now.role = "word";
    this.#now.begun = true;
    if (role === "text") return;
    if (role !== "file") {
      if (!/^[A-Za-z0-9_.-]+$/.test(word)) this.plain = false;
      this.#documents.push({ end: word, tabs: operator === "<<-", quoted });
      return;
    }
    // Output to nowhere or to another stream writes no file.
    if (operator.endsWith("&") && /^([0-9]+-?|-)$/.test(word)) return;
    this.#now.files.push(word);
    if (operator.startsWith("<") && operator !== "<>") return;
    if (!/^\/dev\/(null|stdout|stderr)$/.test(word)) this.#now.writes = true;
  }

  /** The texts of the here-documents whose operators stand in the line before. */
  #readDocuments(): void {
    for (const document of this.#documents.splice(0)) {
      const { body, next, ended } = bodyOf(this.#source, this.#at, document);
      this.#at = next;
      if (!ended) {
        this.plain = false;
        this.#hide(body);
      }
      if (!document.quoted) this.#document(body);
    }
  }

  /** Substitutions run in a document too. */
  #document(text: string): void {
    if (!/[$`\\]/.test(text)) return;
    if (/[`\\]/.test(text) || this.#depth >= MAX_DEPTH) this.plain = false;
    if (this.#depth >= MAX_DEPTH) return;
    const reader = new ScriptReader(text, this.#depth + 1);
    while (reader.#at < text.length) reader.#expansion(reader.#next(), true);
    for (const one of reader.commands) this.commands.push(one);
    for (const one of reader.hidden) this.hidden.push(one);
    if (!reader.plain) this.plain = false;
  }

  #endCommand(): void {
    this.#endWord();
    const { words, writes, files, header, role } = this.#now;
    // A redirection without its file.
    if (role !== "word") this.plain = false;
    this.#drop();
    if (header) {
      const [name = "", ...rest] = words;
      if (NAME.test(name) && !DECISIVE.test(name) && rest[0] === "in") return;
      this.plain = false;
      this.#wrapped(words);
      return;
    }
    const [name] = words;
    if (name === undefined) {
      if (files.length > 0) this.commands.push({ words, writes, files });
      return;
    }
    this.commands.push({ words, writes, files });
    if (!NAME.test(name)) this.plain = false;
    // A word of the grammar where none is expected: the shell may be of another opinion.
    if (runsOthers(words) || GRAMMAR.has(name) || /^(!|in$)/.test(name)) {
      this.plain = false;
      this.#wrapped(words);
    } else if (baseOf(name) === "git") this.hidden.push(command(withoutOptions(words)));
  }

  /** What a runner may run: any end of its arguments, and any of them as a script. */
  #wrapped(words: readonly string[]): void {
    for (let i = 1; i < Math.min(words.length, MAX_ARGUMENTS); i += 1) {
      this.hidden.push(command(words.slice(i)));
      const word = words[i] ?? "";
      if (/[\s;|&`$(]/.test(word)) this.#hide(word);
    }
    if (baseOf(words[0] ?? "") === "eval") this.#hide(words.slice(1).join(" "));
  }

  #hide(source: string): void {
    if (this.#depth >= MAX_DEPTH) return;
    const reader = new ScriptReader(source, this.#depth + HIDDEN_DEPTH);
    reader.list(null);
    for (const one of [...reader.commands, ...reader.hidden]) this.hidden.push(one);
  }
}
