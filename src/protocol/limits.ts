/** Owns the default limits of the contract (protocol, section 8); every one is configuration of the edge or the runner. */

const KIB = 1024;
const MIB = 1024 * KIB;

export const DEFAULT_LIMITS = {
  codeMaxBytes: MIB,
  inboundFrameMaxBytes: 1.25 * MIB,
  timeoutSeconds: 30,
  maxTimeoutSeconds: 300,
  queuedExecutions: 64,
  anonymousClients: 10_000,
  anonymousClientsPerAddress: 1000,
  sessionsPerClient: 4,
  toolCalls: 1_000,
  parallelToolCalls: 16,
  toolValueMaxBytes: 8 * MIB,
  messagesPerSecond: 50,
  messageBurst: 100,
  messageUnitBytes: 64 * KIB,
  readBytesPerSecond: 16 * MIB,
  readBurstBytes: 64 * MIB,
  socketsPerClient: 32,
  waitingCallsPerClient: 64,
  windowMaxBytes: 32 * MIB,
  checkpointsPerClient: 100,
  storedBytesPerClient: 2048 * MIB,
  storedBytesPerTenant: 20 * 1024 * MIB,
  journalMaxBytes: 16 * MIB,
  unackedOutputBytes: 8 * MIB,
  memoryLimitMb: 512,
  processLimit: 64,
  workspaceLimitMb: 256,
  snapshotsPerSession: 8,
} as const;
