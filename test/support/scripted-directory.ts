import { readMeshFile } from '@claudemesh/identity'
import { type MemberRecord, meshFilePath } from '@claudemesh/protocol'
import { meshSlug, type TestMember, TestMesh } from './mesh.ts'
import { type AnswerRequest, ScriptedBroker } from './scripted-broker.ts'

/** A member as a broker would list it. */
export function recordOf(member: TestMember): MemberRecord {
  const { memberId, chain } = readMeshFile(meshFilePath(member.home, meshSlug))
  const nothing = { last_seen_at: null, summary: null, activity: null }
  return { member_id: memberId, chain: [...chain], status: 'active', online: false, ...nothing }
}

/** Answers for a scripted broker that is odd in other ways: who is there, truthfully, and nothing else. */
function answerTruthfully(mesh: TestMesh): AnswerRequest {
  const members = mesh.members.map(recordOf)
  const answers: Readonly<Record<string, object>> = {
    'members.list': { members, next: null },
    'topics.list': { topics: [], next: null },
    'revocations.get': { list: null, chain: [] },
  }
  return ({ op }) => answers[op] ?? null
}

export interface ScriptedMesh {
  readonly mesh: TestMesh
  readonly broker: ScriptedBroker
  /** Not started. */
  readonly alice: TestMember
  /** Who alice sends to, and who never comes. */
  readonly bobId: string
}

/** A mesh of alice and bob whose broker does as it is told, in the place of the real one. */
export async function startScriptedMesh(): Promise<ScriptedMesh> {
  const mesh = await TestMesh.start(['alice', 'bob'], { startMembers: false })
  await mesh.broker.kill()
  const broker = await ScriptedBroker.start({ port: mesh.broker.port, answer: answerTruthfully(mesh) })
  return { mesh, broker, alice: mesh.member('alice'), bobId: recordOf(mesh.member('bob')).member_id }
}
