// Runs before everything else, on whatever Node is there, hence plain JavaScript: says what is missing where TypeScript would not even load.
const wanted = 24;
const major = Number(process.versions.node.split(".")[0]);

if (major < wanted) {
  console.error(`
PyREPL3 runs on Node ${wanted}, and this is Node ${process.versions.node}.
npm ci brings Node ${wanted} along, for every npm script. Run it again, without --ignore-scripts:

  npm ci
`);
  process.exit(1);
}
