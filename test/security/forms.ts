/** How each surface says that a request is refused. */
import { expect } from "vitest";
import type { JsonObject } from "../../src/shared/content.ts";

interface Form {
  /** Throws where the answer lacks what the surface promises; the code of the error. */
  check(what: string, response: Response, body: string): string;
  /** Codes with a status above 500 that say what is wrong with the request. */
  refusals: readonly string[];
}

const CODE = /^[a-z][a-z_]{2,}$/;

/** RFC 9457. */
const PROBLEM: Form = {
  refusals: [],
  check(what, { status, headers }, body) {
    expect([what, headers.get("content-type")]).toEqual([what, "application/problem+json"]);
    const problem = JSON.parse(body) as JsonObject & { errors?: JsonObject[] };
    expect(problem).toMatchObject({
      type: "about:blank",
      title: expect.stringMatching(/\S/),
      status,
      detail: expect.stringMatching(/\S/),
      instance: expect.stringMatching(/^http:/),
      request_id: expect.stringMatching(/\S/),
      error: { code: expect.stringMatching(CODE), message: problem.detail },
    });
    const { code } = problem.error as { code: string };
    if (status === 422 && code === "validation_error") {
      expect(problem.errors?.length).toBeGreaterThan(0);
    }
    for (const { field, message, type } of problem.errors ?? []) {
      expect([what, field]).toEqual([what, expect.stringMatching(/^(body|query|path|header)\b/)]);
      expect([message, type]).toEqual([expect.stringMatching(/\S/), expect.stringMatching(CODE)]);
    }
    return code;
  },
};

/** The same with what clients of claude-code-api know besides; a failed turn says why by its type. */
const CODED: Form = {
  refusals: ["model_not_found"],
  check(what, response, body) {
    const { type, request_id } = JSON.parse(body) as JsonObject;
    const failed = response.status >= 500;
    const plain = failed ? body.replace(/"type":"claude:[a-z_]+"/, '"type":"about:blank"') : body;
    const code = PROBLEM.check(what, response, plain);
    expect([what, response.headers.get("x-response-time")]).toEqual([
      what,
      expect.stringMatching(/^\d+ms$/),
    ]);
    expect([what, response.headers.get("x-request-id")]).toEqual([what, request_id]);
    if (response.status === 502) expect([what, type]).toEqual([what, `claude:${code}`]);
    return code;
  },
};

/** `{"error": …}`, as the Claude CLI server has it, where an unknown session is a failed program. */
const PLAIN: Form = {
  refusals: ["not_found"],
  check(what, { status, headers }, body) {
    expect([what, headers.get("content-type")]).toEqual([what, "application/json"]);
    const { error, code } = JSON.parse(body) as JsonObject;
    expect([what, error, code]).toEqual([
      what,
      expect.stringMatching(/\S/),
      expect.stringMatching(CODE),
    ]);
    expect([what, status]).not.toEqual([what, 422]);
    if (status >= 500) expect(body).toContain('"stderr":');
    return String(code);
  },
};

/** By the beginning of the path; the first that fits. */
const FORMS: readonly (readonly [RegExp, Form])[] = [
  [/^\/v1(\/|$)/, PLAIN],
  [/^\/api\/v1(\/|$)/, CODED],
  [/^/, PROBLEM],
];

/** The code of a refusal, whose form is checked. */
export function refusalOf(path: string, response: Response, body: string): string {
  const what = `${path.slice(0, 200)}: ${response.status}`;
  return formAt(path).check(what, response, body);
}

/** The answer says that the server failed, and not that the request is wrong. */
export function isFailure(path: string, response: Response, body: string): boolean {
  if (response.status < 500) return false;
  const { refusals } = formAt(path);
  return !refusals.some((code) => body.includes(`"code":"${code}"`));
}

function formAt(path: string): Form {
  // As the server reads it: without dots.
  const { pathname } = new URL(`http://localhost${path}`);
  const form = FORMS.find(([paths]) => paths.test(pathname))?.[1];
  if (!form) throw new Error(`no form for ${path}`);
  return form;
}
