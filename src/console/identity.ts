/** Owns who this page is to the edge: the names stay in the browser, the token no longer than the tab. */

const CLIENT_KEY = "pyrepl3.client-id";
const SESSION_KEY = "pyrepl3.session";
const TOKEN_KEY = "pyrepl3.token";

export interface Identity {
  clientId: string;
  session: string;
  token: string;
}

/** The identity of the last visit, or a new one. */
export function loadIdentity(): Identity {
  const clientId = localStorage.getItem(CLIENT_KEY) ?? newClientId();
  localStorage.setItem(CLIENT_KEY, clientId);
  return {
    clientId,
    session: localStorage.getItem(SESSION_KEY) ?? "default",
    token: sessionStorage.getItem(TOKEN_KEY) ?? "",
  };
}

export function saveIdentity(identity: Identity): void {
  localStorage.setItem(CLIENT_KEY, identity.clientId);
  localStorage.setItem(SESSION_KEY, identity.session);
  sessionStorage.setItem(TOKEN_KEY, identity.token);
}

/** Hard to guess: without authentication, knowing it is owning the session. (`randomUUID` needs a secure context.) */
export function newClientId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
