/**
 * The part of the protocol that needs no schema: names, ids and errors. A command that only sends a request and prints
 * an answer loads this and not the index, which compiles every schema and costs several times a command's own start.
 */
export { isCi, isSetVariable } from './ci.ts'
export { meshSlugPattern } from './destination.ts'
export type { ErrorCode } from './errors.ts'
export { type DaemonPaths, daemonPaths, homePaths, meshFilePath, meshSlugs } from './home.ts'
export { createIdSource } from './ids.ts'
export { fromProblem, MeshError, toProblem } from './mesh-error.ts'
export { parseRetryAfter } from './retry-after.ts'
export { readTraceContext, type TraceContext } from './trace-context.ts'
