import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { outerEnvironment } from '../../scripts/try-service.mjs'

const run = promisify(execFile)

/** What reads the OpenAPI document, with the TypeScript that the generators want, which is not the project's. */
const versions = {
  '@hey-api/openapi-ts': '0.95.0',
  '@redocly/cli': '2.77.0',
  '@seriousme/openapi-schema-validator': '2.11.0',
  'openapi-fetch': '0.17.0',
  'openapi-typescript': '7.13.0',
  typescript: '5.9.3'
}

const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'mcp-client-service', 'api-generators')

/** The program that a package has by a name. */
const programs = {
  'openapi-ts': '@hey-api/openapi-ts/bin/run.js',
  'openapi-typescript': 'openapi-typescript/bin/cli.js',
  redocly: '@redocly/cli/bin/cli.js',
  tsc: 'typescript/bin/tsc',
  'validate-api': '@seriousme/openapi-schema-validator/bin/validate-api-cli.js'
}

export interface ApiGenerators {
  /** An empty folder in which the packages are found. The test's end removes it. */
  folder: string
  /** Runs one of the programs in the folder, and gives what it wrote. Throws with that where it fails. */
  run: (program: keyof typeof programs | 'node', ...args: string[]) => Promise<string>
}

/** Installs the generators into a folder of their own: they are no part of the project. Asks npm once. */
export async function provideApiGenerators (t: Test): Promise<ApiGenerators> {
  await mkdir(cache, { recursive: true })
  if (!await areInstalled()) {
    await writeFile(join(cache, 'package.json'), '{ "private": true }\n')
    const packages = Object.entries(versions).map(([name, version]) => `${name}@${version}`)
    const args = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--save-exact', ...packages]
    await run('npm', args, { cwd: cache, env: outerEnvironment() })
  }
  const folder = await mkdtemp(join(cache, 'run-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return {
    folder,
    async run (program, ...args) {
      const script = program === 'node' ? [] : [join(cache, 'node_modules', programs[program])]
      const env = { ...outerEnvironment(), REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' }
      const options = { cwd: folder, env, maxBuffer: 64 * 1024 * 1024 }
      return await run(process.execPath, [...script, ...args], options).then(({ stdout }) => stdout, error => {
        const { message, stdout, stderr } = error as Error & { stdout: string, stderr: string }
        throw new Error(`${message.slice(0, 500)}\n${stdout.slice(0, 3_000)}\n${stderr.slice(0, 3_000)}`)
      })
    }
  }
}

async function areInstalled (): Promise<boolean> {
  for (const [name, version] of Object.entries(versions)) {
    const file = join(cache, 'node_modules', name, 'package.json')
    if (!existsSync(file)) return false
    const installed = JSON.parse(await readFile(file, 'utf8')) as { version: string }
    if (installed.version !== version) return false
  }
  return true
}
