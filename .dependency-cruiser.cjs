/**
 * Which import is forbidden, and why. Arrows point down only:
 *
 *     cli -> client -(HTTP)-> daemon -(WebSocket)-> broker      apps
 *     sealing -> identity                     client            packages, upper layer
 *     storage -> protocol                                       packages, lower layer
 *
 * and inside an app: main > composition root > edges > verbs > nouns > packages. A noun is a folder of state, a verb a
 * folder of flow, an edge takes requests in; they are listed here, once.
 */

// The parser of this tool for TypeScript sources. Without it no source would be read, and every rule would hold.
require.resolve('@swc/core')

const daemon = {
  edges: ['ipc', 'lifecycle'],
  verbs: [
    'shares',
    'decide',
    'relay',
    'send',
    'receive',
    'queues',
    'directory',
    'publish',
    'record',
    'sinks',
    'hooks',
    'link',
    'operate',
  ],
  nouns: ['outbox', 'inbox', 'members', 'events', 'artifacts', 'spaces'],
}
const broker = {
  edges: ['socket', 'http', 'jobs'],
  verbs: ['accept', 'deliver', 'presence', 'requests', 'relay'],
  nouns: ['store', 'cluster'],
}

const test = '[.]test[.]ts$'
const production = { pathNot: test }

/** Folders of an app's sources, the one that the import is in being group 1. */
function folders(app, names) {
  return `^apps/${app}/src/(${names.join('|')})/`
}

/** The directions inside one app. */
function insideApp(app, { edges, verbs, nouns }) {
  return [
    {
      name: `${app}-noun-knows-no-verb`,
      comment: 'State does not know what is done with it: a noun imports no verb and no edge.',
      from: { path: folders(app, nouns), ...production },
      to: { path: folders(app, [...verbs, ...edges]) },
    },
    {
      name: `${app}-noun-knows-no-noun`,
      comment: 'Each database is read alone: a noun imports no other noun.',
      from: { path: folders(app, nouns), ...production },
      to: { path: folders(app, nouns), pathNot: `^apps/${app}/src/$1/` },
    },
    {
      name: `${app}-verb-knows-no-verb`,
      comment: 'Flow reads front to back: verbs meet in the composition root only.',
      from: { path: folders(app, verbs), ...production },
      to: { path: folders(app, verbs), pathNot: `^apps/${app}/src/$1/` },
    },
    {
      name: `${app}-verb-knows-no-edge`,
      comment: 'An edge calls in; nothing calls back out. What a verb needs is in its constructor.',
      from: { path: folders(app, verbs), ...production },
      to: { path: folders(app, edges) },
    },
    {
      name: `${app}-root-is-on-top`,
      comment: 'Only main imports the composition root: what it builds does not reach back for it.',
      from: { path: `^apps/${app}/src/`, pathNot: `^apps/${app}/src/main[.]ts$|${test}` },
      to: { path: `^apps/${app}/src/(main|${app})[.]ts$` },
    },
  ]
}

const forbidden = [
  // Between the parts.
  {
    name: 'daemon-and-broker-meet-on-the-wire',
    comment: 'Daemon and broker meet on the wire and in tests; no code of one runs in the other.',
    from: { path: '^apps/(daemon|broker)/' },
    to: { path: '^apps/(daemon|broker)/', pathNot: '^apps/$1/' },
  },
  {
    name: 'broker-cannot-open',
    comment: 'The broker must not be able to read what it delivers, and the build proves that it cannot.',
    from: { path: '^apps/broker/' },
    to: { path: '^packages/(sealing/|artifacts/(?!src/blobs[.]ts$))' },
  },
  {
    name: 'apps-know-no-cli',
    comment: 'The command line is on top: daemon and broker run without it.',
    from: { path: '^apps/(daemon|broker)/' },
    to: { path: '^apps/cli/' },
  },
  {
    name: 'cli-uses-the-client',
    comment: 'The command line reaches a daemon as every other program does; it only starts the two processes.',
    from: { path: '^apps/cli/' },
    to: { path: '^apps/(daemon|broker)/', pathNot: '^apps/(daemon|broker)/src/main[.]ts$' },
  },
  {
    name: 'cli-loads-processes-late',
    comment: 'Most commands talk to a daemon that runs: they must not load the code of one. Use import() instead.',
    from: { path: '^apps/cli/', ...production },
    to: { path: '^apps/(daemon|broker)/', dynamic: false },
  },
  {
    name: 'packages-know-no-app',
    comment: 'A package serves whoever imports it and does not know who that is.',
    from: { path: '^packages/' },
    to: { path: '^apps/' },
  },
  {
    name: 'client-stands-alone',
    comment: 'The client is published without dependencies: of our own it uses the protocol and nothing else.',
    from: { path: '^packages/client/', ...production },
    to: { path: '^(packages|node_modules)/', pathNot: '^packages/(client|protocol)/' },
  },
  {
    name: 'protocol-stands-below',
    comment: 'The protocol is what everything agrees on: it imports nothing of ours.',
    from: { path: '^packages/protocol/' },
    to: { path: '^packages/', pathNot: '^packages/protocol/' },
  },
  {
    name: 'protocol-does-no-io',
    comment: 'Peers in other languages read the protocol: of Node it uses hashes and random bytes, nothing else.',
    from: { path: '^packages/protocol/', ...production },
    to: { dependencyTypes: ['core'], pathNot: '^(node:)?crypto$' },
  },
  {
    name: 'storage-stands-below',
    comment: 'Storage keeps bytes and does not know whose: it imports the error catalogue of the protocol only.',
    from: { path: '^packages/storage/' },
    to: { path: '^packages/', pathNot: '^packages/(storage|protocol)/' },
  },
  {
    name: 'identity-stands-below-sealing',
    comment: 'Who is who is decided before anything is sealed: identity imports protocol and storage only.',
    from: { path: '^packages/identity/' },
    to: { path: '^packages/', pathNot: '^packages/(identity|protocol|storage)/' },
  },
  {
    name: 'artifacts-touch-bytes-through-the-data-plane',
    comment:
      'Where bytes are kept is known to the data plane alone: the rest of the store could run in another process.',
    from: {
      path: '^packages/artifacts/src/',
      pathNot: `^packages/artifacts/src/(dataplane|storage)/|/(open|index|blobs)[.]ts$|${test}`,
    },
    to: { path: '^packages/artifacts/src/storage/backends/' },
  },
  {
    name: 'artifacts-compose-in-one-place',
    comment: 'Which data plane there is, is decided where a store is opened, and nowhere else.',
    from: {
      path: '^packages/artifacts/src/',
      pathNot: `^packages/artifacts/src/dataplane/inproc/|/(open|index)[.]ts$|${test}`,
    },
    to: { path: '^packages/artifacts/src/dataplane/inproc/' },
  },
  {
    name: 'decisions-stand-beside-artifacts',
    comment: 'A log of decisions needs no store of files: decisions import identity, protocol and storage only.',
    from: { path: '^packages/decisions/' },
    to: { path: '^packages/', pathNot: '^packages/(decisions|identity|protocol|storage)/' },
  },
  {
    name: 'history-knows-nobody-who-reads-it',
    comment: 'A record does not know what is done with it: history imports protocol and storage only.',
    from: { path: '^packages/history/' },
    to: { path: '^packages/', pathNot: '^packages/(history|protocol|storage)/' },
  },
  {
    name: 'sinks-know-no-store',
    comment: 'A sink reads rows and does not know who keeps them: sinks import protocol and storage only.',
    from: { path: '^packages/sinks/' },
    to: { path: '^packages/', pathNot: '^packages/(sinks|protocol|storage)/' },
  },
  {
    name: 'packages-meet-at-their-index',
    comment: 'What a package does not export is its own: others import it by its name.',
    from: { path: '^(apps|packages)/([^/]+)/' },
    to: {
      path: '^packages/[^/]+/',
      pathNot:
        '^packages/[^/]+/src/index[.]ts$|^packages/(artifacts/src/blobs|protocol/src/(plain|artifacts|spaces|history|sinks|hooks)|storage/src/postgres|sinks/src/(settings|state))[.]ts$|^$1/$2/',
    },
  },
  {
    name: 'no-package-imports-its-own-index',
    comment: 'An index imports every file of its package; a file that imports it back closes a cycle.',
    from: { path: '^packages/([^/]+)/' },
    to: { path: '^packages/$1/src/index[.]ts$' },
  },

  // Inside an app.
  ...insideApp('daemon', daemon),
  ...insideApp('broker', broker),

  // Everywhere.
  {
    name: 'no-cycles',
    comment: 'Of two files that import each other neither can be read first.',
    from: {},
    to: { circular: true },
  },
  {
    name: 'production-knows-no-test',
    comment: 'What runs at a user does not contain what proves it.',
    from: { path: '^(apps|packages)/', ...production },
    to: { path: `${test}|^test/|^node_modules/(vitest|fast-check)/` },
  },
  {
    name: 'dependencies-are-declared',
    comment: 'A package that is here by accident is gone with the next update: name it in package.json.',
    from: { path: '^(apps|packages)/', ...production },
    to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-dev'], pathNot: '^node_modules/@types/' },
  },
  {
    name: 'imports-are-found',
    comment: 'An import that leads nowhere escapes every other rule.',
    from: {},
    to: { couldNotResolve: true },
  },
]

module.exports = {
  forbidden: forbidden.map((rule) => ({ ...rule, severity: 'error' })),
  options: {
    parser: 'swc',
    exclude: { path: '/(dist|vectors)/' },
    doNotFollow: { path: '^node_modules/' },
    // Workspace packages lead to their sources, as they do in tests.
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['claudemesh-source', 'import', 'node', 'default'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.json', '.d.ts'],
    },
  },
}
