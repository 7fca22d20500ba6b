/*
 * Runs the service on each version of Node that it is for: the oldest that package.json allows, the newest of 20, of
 * 22 and of 24, and the newest of all.
 *
 *   node scripts/nodes.mjs           all tests on each, minutes a version; further arguments go to scripts/test.mjs
 *   node scripts/nodes.mjs --short   the service as it was built once: started, called and stopped on each
 *   node scripts/nodes.mjs --only=24 …   on one of them
 *
 * npm's package `node` brings them, into a folder of its own outside the project.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { build, checkNodeVersion, installDependencies, nodeOptions, root, stop } from './environment.mjs'
import { provideNode } from './node-versions.mjs'
import { provideRedisServer, startRedisServer, waysToGetRedis } from './redis-server.mjs'
import { freePort } from './ports.mjs'
import { outerEnvironment, tryService } from './try-service.mjs'

const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const oldest = /^>=(\d+\.\d+)$/.exec(engines.node)?.[1] ?? stop(`engines.node is ${engines.node}, and should be >=X.Y`)

const args = process.argv.slice(2)
const only = args.filter(arg => arg.startsWith('--only=')).map(arg => arg.slice('--only='.length))
const versions = only.length > 0 ? only : [`${oldest}.0`, '20', '22', '24', 'latest']

checkNodeVersion()
installDependencies()
build()
const binaries = versions.map(provideNode)
const failures = args.includes('--short') ? await tryEach() : testEach()
for (const failure of failures) console.error(failure)
console.log(`${binaries.length - failures.length} versions of Node passed, ${failures.length} failed`)
process.exitCode = failures.length > 0 ? 1 : 0

/** Its own Node comes first, for MCP servers and all other children, too. */
function environmentOf ({ binary }) {
  return { ...outerEnvironment(), PATH: `${dirname(binary)}${delimiter}${process.env.PATH}` }
}

async function tryEach () {
  const binary = provideRedisServer() ?? stop(waysToGetRedis)
  const folder = mkdtempSync(join(tmpdir(), 'mcp-nodes-')) // without a .env of whoever runs this
  const redis = await startRedisServer({ binary, folder: join(folder, 'redis') })
  const failures = []
  for (const node of binaries) {
    const { PATH } = environmentOf(node)
    const env = {
      PATH,
      MCP_CLIENT_HOST: '127.0.0.1',
      MCP_CLIENT_PORT: String(await freePort()),
      MCP_SERVER_SCRIPT: join(root, 'test', 'fixtures', 'tiny-server.mjs'),
      MCP_SKIP_VALIDATION: 'true',
      MCP_SESSION_KEY_PREFIX: `nodes-${node.version}`,
      REDIS_URL: redis.url
    }
    try {
      await tryService({ command: [node.binary, ...nodeOptions, join(root, 'scripts', 'start.mjs')], cwd: folder, env })
      console.log(`Node ${node.version}: started, called and stopped`)
    } catch (error) {
      failures.push(`Node ${node.version}: ${error.message}`)
    }
  }
  await redis.stop()
  rmSync(folder, { recursive: true })
  return failures
}

function testEach () {
  const forTests = args.filter(arg => !arg.startsWith('--only='))
  return binaries.flatMap(node => {
    console.log(`Node ${node.version}`)
    const command = [join(root, 'scripts', 'test.mjs'), ...forTests]
    const { status } = spawnSync(node.binary, command, { cwd: root, env: environmentOf(node), stdio: 'inherit' })
    return status === 0 ? [] : [`Node ${node.version}: the tests ended with ${status}`]
  })
}
