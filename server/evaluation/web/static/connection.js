// One request to the server, and what became of it. Nothing here throws: a lost network is an answer like any other.

export const PATIENCE_MS = 4000;

const token = () => document.querySelector('meta[name="form-token"]')?.content ?? "";

/** A key that names one action for ever: the same key twice is the same action once. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Ask the server.
 *
 * @returns {Promise<{kind: "ok" | "refused" | "away" | "unrecorded" | "sign in" | "stale", text: string, data: any}>}
 *   `away`: no answer came, it may or may not have been done. `unrecorded`: the database takes nothing now.
 */
export async function ask(method, path, { body, key, patience = PATIENCE_MS } = {}) {
  const headers = { accept: "application/json" };
  if (method !== "GET") {
    headers["content-type"] = "application/json";
    headers["x-form-token"] = token();
    headers["idempotency-key"] = key ?? newKey();
  }
  try {
    const answer = await fetch(path, {
      method,
      headers,
      body: method === "GET" ? undefined : JSON.stringify(body ?? {}),
      cache: "no-store",
      credentials: "same-origin",
      redirect: "error",
      signal: AbortSignal.timeout(patience),
    });
    // Anything but JSON is not our server: a proxy's error page, a hotel's login.
    if (!(answer.headers.get("content-type") ?? "").startsWith("application/json")) return lost();
    return sorted(answer.status, await answer.json());
  } catch {
    return lost();
  }
}

function sorted(status, data) {
  if (status < 300) return { kind: "ok", text: "", data };
  const text = typeof data.text === "string" ? data.text : "";
  if (data.code === "sign in") return { kind: "sign in", text, data };
  if (data.code === "stale page") return { kind: "stale", text, data };
  if (data.code === "not recorded") return { kind: "unrecorded", text, data };
  if (status === 429 || status === 502 || status === 503 || status === 504) return lost();
  return { kind: "refused", text, data };
}

const lost = () => ({ kind: "away", text: "", data: null });
