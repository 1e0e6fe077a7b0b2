import { readMeshFile } from '@claudemesh/identity'
import { type MemberRecord, meshFilePath } from '@claudemesh/protocol'
import type { TestMember, TestMesh } from './mesh.ts'
import type { AnswerRequest } from './scripted-broker.ts'

/** A member as a broker would list it. */
export function recordOf(member: TestMember): MemberRecord {
  const { memberId, chain } = readMeshFile(meshFilePath(member.home, 'test'))
  const nothing = { last_seen_at: null, summary: null, activity: null }
  return { member_id: memberId, chain: [...chain], status: 'active', online: false, ...nothing }
}

/** Answers for a scripted broker that is odd in other ways: who is there, truthfully, and nothing else. */
export function answerTruthfully(mesh: TestMesh): AnswerRequest {
  const members = mesh.members.map(recordOf)
  const answers: Readonly<Record<string, object>> = {
    'members.list': { members, next: null },
    'topics.list': { topics: [], next: null },
    'revocations.get': { list: null, chain: [] },
  }
  return ({ op }) => answers[op] ?? null
}
