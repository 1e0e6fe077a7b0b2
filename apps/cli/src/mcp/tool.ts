/**
 * What a tool of the MCP server is. Its input is described by the schema that checks it. What goes wrong is a result with
 * `isError`, whose text says what to do, so that the agent can act on it.
 */
import type { MeshClient } from '@claudemesh/client'
import { type CallToolResult, fromJsonSchema, type McpServer } from '@modelcontextprotocol/server'
import type { Static, TObject } from 'typebox'
import { MeshError } from '../protocol.ts'
import type { Arrivals } from './arrivals.ts'

/** What tools work with. */
export interface ToolContext {
  readonly client: MeshClient
  readonly arrivals: Arrivals
}

/** What a tool says: `text` to the agent, `data` to a program. */
export interface ToolAnswer {
  readonly text: string
  readonly data: Readonly<Record<string, unknown>>
}

interface ToolDefinition<Input extends TObject> {
  readonly name: string
  readonly title: string
  /** When to use it and what its answer proves, for a reader who knows nothing of the mesh. */
  readonly description: string
  readonly input: Input
  /** Whether it changes nothing. */
  readonly isReadOnly: boolean
  /** Whether calling it again with the same input changes nothing more. */
  readonly isIdempotent: boolean
  run(input: Static<Input>, context: ToolContext, signal: AbortSignal): Promise<ToolAnswer>
}

/** A tool, ready to be offered by a server. */
export type Tool = (server: McpServer, context: ToolContext) => void

/** Makes a tool of its definition. */
export function tool<Input extends TObject>(definition: ToolDefinition<Input>): Tool {
  const { name, title, description, input, isReadOnly, isIdempotent } = definition
  return (server, context) => {
    server.registerTool(
      name,
      {
        title,
        description,
        inputSchema: fromJsonSchema<Static<Input>>(input),
        annotations: {
          title,
          readOnlyHint: isReadOnly,
          destructiveHint: false,
          idempotentHint: isIdempotent,
          openWorldHint: true,
        },
      },
      async (given, { mcpReq }) => {
        try {
          const { text, data } = await definition.run(given, context, mcpReq.signal)
          return { content: [{ type: 'text', text }], structuredContent: data }
        } catch (error) {
          return describeFailure(error)
        }
      },
    )
  }
}

function describeFailure(error: unknown): CallToolResult {
  if (!(error instanceof MeshError)) throw error
  const { code, message, hint, retryable } = error
  const text = `${code}: ${message}\n${hint}${retryable ? '\nTrying again later can help.' : ''}`
  return {
    isError: true,
    content: [{ type: 'text', text }],
    structuredContent: { code, detail: message, hint, retryable },
  }
}
