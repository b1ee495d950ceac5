/** Owns which messages of workerd the edge's tests do not show: each is known, has its reason here, and says nothing about a test. */

/** The beginning of a message, and why a green run has it. */
const KNOWN: readonly (readonly [beginning: string | RegExp, reason: string])[] = [
  [
    /^exception = \S+: failed: jsg\.Error: Application called abortAllDurableObjects\(\)\./,
    "tests throw objects away in the middle of their work by this very call",
  ],
  [
    /^failed to invoke drain\(\) on IncomingRequest before destroying it;/,
    "an object that is thrown away cannot finish its requests",
  ],
  [
    /^exception = \S+: disconnected: pump canceled/,
    "tests leave streams before their end, and workerd was copying one of them",
  ],
  [
    'A header value for "client-id" contains non-ASCII characters: "é"',
    "a test sends a client id that the service has to refuse",
  ],
];

export function isKnownNoise(message: string): boolean {
  return KNOWN.some(([beginning]) =>
    typeof beginning === "string" ? message.startsWith(beginning) : beginning.test(message),
  );
}

/** Leaves known messages out of what the pool prints: it writes each message of workerd by one call. @returns what ends it. */
export function muteWorkerdNoise(): () => void {
  const unmute = [process.stdout, process.stderr].map((stream) => {
    const { write } = stream;
    stream.write = ((...given: Parameters<typeof write>) =>
      typeof given[0] === "string" && isKnownNoise(given[0]) ? true : write.apply(stream, given)) as typeof write;
    return () => {
      stream.write = write;
    };
  });
  return () => {
    for (const end of unmute) end();
  };
}
