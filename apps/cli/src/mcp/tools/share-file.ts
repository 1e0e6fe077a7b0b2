import { isAbsolute } from 'node:path'
import { Type } from 'typebox'
import { MeshError } from '../../protocol.ts'
import { tool } from '../tool.ts'

export const shareFile = tool({
  name: 'share_file',
  title: 'Share a file or a directory',
  description:
    'Shares a file or a directory of this host with a member or a topic, end to end encrypted. What is shared is a copy as of now, kept when ' +
    'this answers; it goes out by itself, and its recipients get it once.',
  input: Type.Object(
    {
      path: Type.String({ minLength: 1, maxLength: 4096, description: 'absolute' }),
      to: Type.String({ minLength: 1, maxLength: 128, description: '@name, a member id or #topic' }),
      message: Type.Optional(Type.String({ maxLength: 4096, description: 'what is said with it' })),
      idempotency_key: Type.Optional(
        Type.String({ minLength: 1, maxLength: 128, description: 'with the same key it is shared once' }),
      ),
    },
    { additionalProperties: false },
  ),
  isReadOnly: false,
  isIdempotent: false,
  async run({ path, to, message, idempotency_key }, { client }, signal) {
    if (!isAbsolute(path)) {
      throw new MeshError('invalid_request', {
        detail: `${path} is not absolute`,
        hint: 'Give the path from the root on.',
      })
    }
    const shared = await client.files.share(
      {
        path,
        to,
        ...(message === undefined ? {} : { message }),
        ...(idempotency_key === undefined ? {} : { client_message_id: idempotency_key }),
      },
      { signal },
    )
    const { share_id, size_bytes, content_address, status } = shared
    return {
      text: `${status}: ${size_bytes} bytes are kept as ${content_address} and will go out by themselves. Share ${share_id}.`,
      data: { ...shared },
    }
  },
})
