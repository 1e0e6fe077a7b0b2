/** The routes of a daemon as its own OpenAPI document describes them, so that a new route is met by tests unasked. */
import { fitting, type JsonSchema } from './schema-faults.ts'

export interface Parameter {
  readonly in: 'query' | 'path' | 'header'
  readonly name: string
  readonly required?: boolean
  readonly schema: JsonSchema
}

export interface Route {
  readonly method: string
  /** As described, with `{name}` for each parameter. */
  readonly template: string
  /** The same with a fitting text for each parameter. */
  readonly path: string
  readonly parameters: readonly Parameter[]
  /** By media type; empty when the route takes no body. */
  readonly bodies: ReadonlyMap<string, JsonSchema>
}

interface Operation {
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>> }
}

export interface OpenApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

export function routesOf(document: OpenApiDocument): readonly Route[] {
  return Object.entries(document.paths).flatMap(([template, operations]) =>
    Object.entries(operations).map(([method, { parameters = [], requestBody }]) => {
      const content = Object.entries(requestBody?.content ?? {})
      const bodies = new Map(content.map(([mediaType, { schema }]) => [mediaType, schema]))
      return { method: method.toUpperCase(), template, path: pathOf(template, parameters), parameters, bodies }
    }),
  )
}

/** The path with `value` for the parameter of this name, and something fitting for every other one. */
export function pathOf(
  template: string,
  parameters: readonly Parameter[],
  changed: { readonly name: string; readonly value: string } | null = null,
): string {
  return template.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const parameter = parameters.find((each) => each.in === 'path' && each.name === name)
    return changed?.name === name ? changed.value : encodeURIComponent(String(fitting(parameter?.schema ?? {})))
  })
}
