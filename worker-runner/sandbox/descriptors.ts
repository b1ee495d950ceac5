/** Owns the numbers of the descriptors that a launcher with bubblewrap inherits. */

/** bubblewrap reads its seccomp filter here. */
export const FILTER_FD = 3;
/** bubblewrap writes the keeper's pid here. */
export const STATUS_FD = 4;
/** A keeper that gets a network waits here until the network is ready. A skeleton, which gets none, says here that it is complete. */
export const NETWORK_FD = 5;
/** In a skeleton: what the keeper's fd 0 becomes. */
export const TOKEN_FD = 9;
