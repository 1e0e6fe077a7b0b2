// The man page of the command, from the table of its commands: what help says, in the form that `man` reads.

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { root } from './prepare.mjs'

/** @returns claudemesh.1 */
export async function manPage(version) {
  const load = (file) => import(pathToFileURL(join(root, 'apps/cli/dist', file)).href)
  const [{ commandTree }, { globalOptions }] = [await load('command-tree.js'), await load('command.js')]
  const commands = await Promise.all(commandTree.map(async ({ words, load }) => describe(words, await load())))
  return [
    `.TH CLAUDEMESH 1 "" "claudemesh ${version}" "User Commands"`,
    '.SH NAME',
    'claudemesh \\- messages between agents on any host: kept once acknowledged, delivered once',
    '.SH SYNOPSIS',
    '.B claudemesh',
    '.I command',
    '.RI [ options ]',
    '.SH DESCRIPTION',
    text(
      'A daemon on each host takes messages over a Unix socket and sends them to the other members of its mesh. A first message:',
    ),
    '.PP\n.nf\n.RS',
    code('claudemesh init --name alice'),
    code('claudemesh daemon start'),
    code('claudemesh send --to @alice --wait delivered "hello"'),
    '.RE\n.fi',
    '.SH OPTIONS OF EVERY COMMAND',
    ...globalOptions.map(item),
    item({ syntax: '-h, --help', describe: 'show help; for one command, with its examples' }),
    '.SH COMMANDS',
    ...commands,
    '.SH EXIT STATUS',
    ...exits.map(([status, meaning]) => `.TP\n.B ${status}\n${text(meaning)}`),
    '.SH ENVIRONMENT',
    ...variables.map(([name, meaning]) => `.TP\n.B ${name}\n${text(meaning)}`),
    '.SH FILES',
    `.TP\n.I ~/.claudemesh/config.toml\n${text('settings of all meshes of this home')}`,
    `.TP\n.I ~/.claudemesh/daemon/<mesh>/\n${text('what one daemon has: settings, keys, messages, its socket and its log')}`,
    '',
  ].join('\n')
}

function describe(words, { summary, arguments: args = [], options = [], examples }) {
  const usage = [...args.map(({ syntax }) => syntax), ...(options.length === 0 ? [] : ['[options]'])].join(' ')
  return [
    `.SS ${text(`claudemesh ${words.join(' ')} ${usage}`.trim())}`,
    text(`${summary}.`),
    ...[...args, ...options].map(item),
    '.PP\n.nf\n.RS',
    ...examples.flatMap(({ line, describe }) => [code(line), `.RS\n${text(describe)}\n.RE`]),
    '.RE\n.fi',
  ].join('\n')
}

function item({ syntax, describe }) {
  return `.TP\n.B ${text(syntax)}\n${text(describe)}`
}

/** A line that begins with a dot or an apostrophe would be a request; what is not ASCII is written as troff reads it. */
function text(line) {
  return line
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^[.']/, '\\&$&')
    .replaceAll(
      /[^ -~]/gu,
      (character) => `\\[u${character.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}]`,
    )
}

/** What is typed stays what it is: no typographic quotes, no hyphens. */
function code(line) {
  return text(line)
    .replaceAll("'", '\\(aq')
    .replaceAll('`', '\\(ga')
    .replaceAll('"', '\\(dq')
    .replaceAll('^', '\\(ha')
    .replaceAll('~', '\\(ti')
}

const exits = [
  [0, 'done'],
  [64, 'the command line is wrong'],
  [65, 'what was to be sent is wrong, or was not delivered; a damaged database'],
  [66, 'what was named is not there'],
  [69, 'nobody answers'],
  [70, 'a fault of this software'],
  [73, 'what was to be made exists already'],
  [74, 'the disk'],
  [75, 'can succeed later; send --wait: kept, and the state was not reached in time'],
  [77, 'permission'],
  [78, 'configuration'],
]

const variables = [
  ['CLAUDEMESH_HOME', 'where everything is; ~/.claudemesh unless it says otherwise'],
  ['CLAUDEMESH_MESH', 'the mesh that commands act in when --mesh names none'],
  ['CLAUDEMESH_BROKER_DATA', 'the data directory of broker commands'],
  ['NO_COLOR', 'print without colour'],
]
