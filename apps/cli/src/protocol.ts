/** What of the protocol every command needs at run time, named in one place: what a command loads is what it costs. */
export {
  daemonPaths,
  type ErrorCode,
  homePaths,
  isCi,
  MeshError,
  meshFilePath,
  meshSlugPattern,
  meshSlugs,
  readTraceContext,
  type TraceContext,
  toProblem,
} from '@claudemesh/protocol/plain'
