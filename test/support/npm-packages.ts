import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { outerEnvironment } from '../../scripts/try-service.mjs'

const run = promisify(execFile)

export interface NpmPackages {
  /** An empty folder in which the packages are found. The test's end removes it. */
  folder: string
  /** Runs a script of the packages in the folder, or without one what the arguments say, and gives what it wrote. */
  run: (script: string | null, ...args: string[]) => Promise<string>
}

/**
 * Installs packages of npm, in these versions, into a folder of their own below the user's cache: they are no part of
 * the project. Asks npm once.
 */
export async function provideNpmPackages (
  t: Test, name: string, versions: Readonly<Record<string, string>>
): Promise<NpmPackages> {
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'mcp-client-service', name)
  await mkdir(cache, { recursive: true })
  if (!await areInstalled(cache, versions)) {
    await writeFile(join(cache, 'package.json'), '{ "private": true }\n')
    const packages = Object.entries(versions).map(([name, version]) => `${name}@${version}`)
    const args = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--save-exact', ...packages]
    await run('npm', args, { cwd: cache, env: outerEnvironment() })
  }
  const folder = await mkdtemp(join(cache, 'run-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return {
    folder,
    async run (script, ...args) {
      const command = script === null ? args : [join(cache, 'node_modules', script), ...args]
      const env = { ...outerEnvironment(), REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' }
      const options = { cwd: folder, env, maxBuffer: 64 * 1024 * 1024 }
      return await run(process.execPath, command, options).then(({ stdout }) => stdout, error => {
        const { message, stdout, stderr } = error as Error & { stdout: string, stderr: string }
        throw new Error(`${message.slice(0, 500)}\n${stdout.slice(0, 3_000)}\n${stderr.slice(0, 3_000)}`)
      })
    }
  }
}

async function areInstalled (cache: string, versions: Readonly<Record<string, string>>): Promise<boolean> {
  for (const [name, version] of Object.entries(versions)) {
    const file = join(cache, 'node_modules', name, 'package.json')
    if (!existsSync(file)) return false
    const installed = JSON.parse(await readFile(file, 'utf8')) as { version: string }
    if (installed.version !== version) return false
  }
  return true
}
