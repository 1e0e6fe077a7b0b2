export type {
  Condition,
  EventType,
  Health,
  InboxPage,
  InboxQuery,
  MeshEvent,
  Message,
  OutboxDetail,
  OutboxQuery,
  OutboxRowView,
  PeersResponse,
  Problem,
  QueueTakeRequest,
  QueueTakeResponse,
  Receipt,
  SendRequest,
  SendResponse,
  Thread,
  TopicList,
  TopicPostRequest,
  WaitState,
} from '@claudemesh/protocol'
export type { ArtifactUpload } from './artifact-upload.ts'
export type { Artifacts, PackageQuery } from './artifacts.ts'
export { MeshClient, openClient } from './client.ts'
export type { BatchItemAnswer, ClientOptions, SendOptions } from './client-options.ts'
export { discoverEndpoint, type Endpoint, socketPathBytesMax } from './discover.ts'
export type { Download } from './download.ts'
export type { EventsOptions } from './events.ts'
export type { Files } from './files.ts'
export type { History } from './history.ts'
export type { Hooks } from './hooks.ts'
export { MeshError } from './protocol.ts'
export type { Queues } from './queues.ts'
export { type ClientRuntime, systemRuntime } from './runtime.ts'
export type { Sinks } from './sinks.ts'
export type { DecideOptions, Spaces } from './spaces.ts'
