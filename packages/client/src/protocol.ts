/** What of the protocol runs here. Everything else this package takes from it is types, which cost nothing at start. */
export {
  createIdSource,
  type DaemonPaths,
  daemonPaths,
  fromProblem,
  MeshError,
  parseRetryAfter,
} from '@claudemesh/protocol/plain'
