import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { secretNames } from '../../lib/config/environment.ts'
import { readServersFile } from '../../lib/mcp/servers-file/servers-file.ts'
import { makeFolder } from '../support/folders.ts'
import { policyDefaults } from '../support/servers-file.ts'

const root = join(import.meta.dirname, '..', '..')
const read = (name: string) => readFileSync(join(root, 'deploy', name), 'utf8').replace(/^\s*#.*\n/gm, '')
const kubernetes = ['mcp-client', 'mcp-server-charts'].map(name => read(`kustomize/base/${name}.yaml`)).join('')
const documents = kubernetes.split(/^---\n/m)
const unit = read('mcp-client@.service')
const serverUnit = read('mcp-server@.service')

/** The part of a file that starts with its kind and name. */
const documentOf = (kind: string, name: string) =>
  documents.find(text => text.includes(`kind: ${kind}\n`) && text.includes(`\n  name: ${name}\n`)) ?? ''
const service = documentOf('Deployment', 'mcp-client')
const server = documentOf('Deployment', 'mcp-server-charts')

t.test('Kubernetes mounts the secrets as files, and has none in an environment', async t => {
  t.notMatch(kubernetes, /secretKeyRef|envFrom/)
  const mounted = /- name: secrets\n\s+mountPath: (\S+)\n\s+readOnly: true/.exec(service)?.[1]
  t.ok(mounted)
  const files = [...service.matchAll(/- name: (\w+)_FILE\n\s+value: (\S+)/g)]
    .filter(([, name = '']) => name !== 'MCP_SERVERS')
  t.ok(files.length >= 4)
  for (const [, name = '', path = ''] of files) t.equal(path, `${mounted}/${path.split('/').at(-1)}`, name)
  for (const name of ['REDIS_PASSWORD', 'MCP_ENCRYPTION_KEYS', 'MCP_CLIENT_API_KEYS']) {
    t.ok(files.some(([, each]) => each === name), name)
  }
  for (const name of secretNames) t.notMatch(service, `- name: ${name}\n`)
})

t.test('in Kubernetes an MCP server is another user, in another pod, with no secret and no account of the service', async t => {
  const userOf = (text: string) => Number(/runAsUser: (\d+)/.exec(text)?.[1])
  t.ok(userOf(service) > 0 && userOf(server) > 0)
  t.not(userOf(server), userOf(service))
  for (const text of [service, server]) {
    for (const line of [
      'runAsNonRoot: true', 'automountServiceAccountToken: false', 'allowPrivilegeEscalation: false',
      'readOnlyRootFilesystem: true', 'drop: ["ALL"]'
    ]) t.ok(text.includes(line), line)
  }
  t.match(server, /serviceAccountName: mcp-server-charts/)
  t.match(documentOf('ServiceAccount', 'mcp-server-charts'), /automountServiceAccountToken: false/)
  t.notMatch(server, /secretName: mcp-client\n|MCP_|REDIS_/)
})

t.test('the servers file of the example is one that the service takes', async t => {
  const folder = await makeFolder(t)
  writeFileSync(join(folder, 'token'), 'canary\n')
  const host = { CHARTS_TOKEN_FILE: join(folder, 'token') }
  const [spec, ...others] = readServersFile(join(root, 'deploy', 'kustomize', 'base', 'servers.json'), { host, sensitiveParams: [], policyDefaults })
  t.strictSame(others, [])
  t.match(spec, { kind: 'http', name: 'charts', label: 'http://mcp-server-charts/mcp' })
  t.match(documentOf('Service', 'mcp-server-charts'), /port: 80\n/)
  t.match(service, /- name: CHARTS_TOKEN_FILE\n/)
})

t.test('systemd hands each secret over as a credential, and has none in the environment', async t => {
  const credentials = [...unit.matchAll(/^LoadCredential=([\w-]+):\//gm)].map(([, name]) => name)
  const used = [...unit.matchAll(/^Environment=(\w+)_FILE=%d\/([\w-]+)$/gm)]
  t.strictSame(used.map(([, , name]) => name), credentials)
  for (const name of ['REDIS_PASSWORD', 'MCP_ENCRYPTION_KEYS', 'MCP_CLIENT_API_KEYS']) {
    t.ok(used.some(([, each]) => each === name), name)
  }
  for (const name of secretNames) t.notMatch(unit, `${name}=`)
})

t.test('an MCP server with a unit of its own has a user of its own, and nothing of the service', async t => {
  for (const line of ['DynamicUser=yes', 'NoNewPrivileges=yes', 'CapabilityBoundingSet=', 'ProtectProc=invisible']) {
    t.match(serverUnit, new RegExp(`^${line}$`, 'm'))
  }
  t.notMatch(serverUnit, /MCP_|REDIS_|mcp-client/)
})
