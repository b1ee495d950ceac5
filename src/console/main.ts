/** Owns the start of the console page. */
export {};
