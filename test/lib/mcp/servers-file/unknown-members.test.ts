import t from 'tap'
import { nearestName, wordsOf } from '../../../../lib/mcp/servers-file/name-words.ts'
import { readServersFile, type ServersFileNote } from '../../../../lib/mcp/servers-file/servers-file.ts'
import { policyDefaults } from '../../../support/servers-file.ts'

const host = { PATH: process.env.PATH }
const options = { host, sensitiveParams: ['jwtToken'], policyDefaults }

/** What becomes of an entry with one more member, beside one that runs. */
function judge (folder: string, members: object) {
  const notes: ServersFileNote[] = []
  const specs = readServersFile(`${folder}/servers.json`, { ...options, tell: note => notes.push(note) })
  const [, it] = specs
  return { members, reason: it?.kind === 'faulty' ? it.reason : null, notes }
}

t.test('members', async t => {
  const withMembers = (members: object) => {
    const entry = { command: process.execPath }
    const text = JSON.stringify({ mcpServers: { on: entry, it: { ...entry, ...members } } })
    return judge(t.testdir({ 'servers.json': text }), members)
  }

  t.test('a restriction that is not understood makes its entry not run, and is named', async t => {
    const restrictions: object[] = [
      { sandboxEnabled: true }, { sandbox: { network: [] } }, { sandbox: 'strict' }, { 'sandbox-mode': 'on' },
      { allowedPaths: ['/tmp'] }, { allowedDirectories: [] }, { allow: ['a'] }, { deny: ['a'] }, { 'denied-tools-list': ['a'] },
      { permissions: { deny: ['a'] } }, { permission: 'ask' }, { readOnly: true }, { 'read-only': true }, { read_only: 'yes' },
      { onlyTools: ['a'] }, { toolsOnly: ['a'] }, { enabledPrompts: ['a'] }, { disabledResources: ['a'] },
      { disabledPrompts: ['a'] }, { excludeResources: ['a'] }, { includePrompts: ['a'] }, { excludes: ['a'] },
      { requireApproval: 'always' }, { require_approval: { never: { tool_names: ['a'] } } }, { confirm: true },
      { approvalMode: 'prompt' }, { scopedTo: 'team' }, { network: false }, { allowNetwork: false }, { networkAccess: 'none-but-a' },
      { roots: ['/tmp'] }, { rateLimit: 5 }, { maxCalls: 1 }, { limits: { calls: 1 } }, { policy: 'strict' },
      { toolPolicy: {} }, { capabilities: { tools: false } }, { user: 'nobody' }, { runAs: 'nobody' }, { privileged: false },
      { container: 'docker' }, { isolation: true }, { dryRun: true }, { safeMode: true }, { security: { level: 2 } },
      { blockedHosts: ['a'] }, { visibility: 'private' }, { redactOutput: true }, { toolsFilter: 'a*' }, { roles: ['a'] },
      { tls: { ca: 'x' } }, { proxy: 'http://proxy' }, { allowWrite: false }, { exposeTools: ['a'] }, { 'tools.allow': ['a'] }
    ]
    for (const members of restrictions) {
      const [name = ''] = Object.keys(members)
      const { reason, notes } = withMembers(members)
      t.match(reason, new RegExp(`^${name.replace('.', '\\.')} (may restrict the server|is not known here: write )`), JSON.stringify(members))
      t.strictSame(notes, [])
    }
  })

  t.test('a member that may be one of ours is not passed over', async t => {
    const names: Array<[theirs: string, ours: string]> = [
      ['exlcudeTools', 'excludeTools'], ['excludeTool', 'excludeTools'], ['exclude_tools', 'excludeTools'],
      ['ExcludeTools', 'excludeTools'], ['includetools', 'includeTools'], ['disabledTool', 'disabledTools'],
      ['disabled_tools', 'disabledTools'], ['disable', 'disabled'], ['isDisabled', 'disabled'], ['enable', 'enabled'],
      ['environment', 'env'], ['ENV', 'env'], ['env_file', 'envFile'], ['arg', 'args'],
      ['arguments', 'args'], ['CWD', 'cwd'], ['workingDirectory', 'cwd'], ['URL', 'url'], ['endpoint', 'url'],
      ['server_url', 'serverUrl'], ['header', 'headers'], ['http_headers', 'headers'], ['credential', 'credentials'],
      ['prefx', 'prefix'], ['value', 'values'], ['fill', 'values'], ['keep', 'values'], ['lifeCycle', 'lifecycle'],
      ['warm_spares', 'warmSpares'], ['validateArgument', 'validateArguments'], ['allowedTools', 'includeTools'],
      ['allowed_tools', 'includeTools'], ['enabledTools', 'includeTools'], ['deniedTools', 'excludeTools'],
      ['toolFilter', 'includeTools'], ['Uid', 'uid'], ['transports', 'transport'], ['statefull', 'stateful']
    ]
    for (const [theirs, ours] of names) {
      t.equal(withMembers({ [theirs]: ['a'] }).reason, `${theirs} is not known here: write ${ours} if that is meant`)
    }
  })

  t.test('a way to sign in that there is not makes its entry not run', async t => {
    for (const members of [
      { auth: { CLIENT_ID: 'canary' } }, { oauth: { clientId: 'canary' } }, { oauth: { scopes: ['a'] } }, { oauth2: true },
      { authProviderType: 'google_credentials' }, { targetAudience: 'canary' }, { targetServiceAccount: 'canary' },
      { headersHelper: 'canary.sh' }, { bearer_token_env_var: 'CANARY' }, { apiKey: 'canary' }, { token: 'canary' },
      { authorization: 'canary' }, { requiresOAuth: true }, { scopes: ['a'] }, { authorization_token: 'canary' },
      { clientCertificate: 'canary' }
    ]) {
      const { reason } = withMembers(members)
      t.equal(reason, `${Object.keys(members)[0]} is a way to sign in that this service does not have: give the credential in headers or env`)
    }
    for (const members of [{ oauth: { enabled: false } }, { oauth: false }, { auth: null }, { oauth: {} }]) {
      t.match(withMembers(members), { reason: null, notes: [{ server: 'it', why: 'it is switched off' }] })
    }
  })

  t.test('anything else is told of and passed over', async t => {
    const harmless = [
      { autoApprove: ['a'] }, { autoApprove: true }, { alwaysAllow: [] }, { trust: true }, { trust: false }, { description: 'x' },
      { dev: { watch: '*' } }, { gallery: true }, { icon: 'x' }, { source: 'custom' }, { name: 'x' }, { version: '1' }, { '//': 'x' }
    ]
    for (const members of harmless) {
      const { reason, notes } = withMembers(members)
      t.equal(reason, null, JSON.stringify(members))
      t.match(notes, [{ server: 'it', member: Object.keys(members)[0], why: /^it / }])
      t.notOk('matters' in (notes[0] ?? {}))
    }
    for (const members of [
      { sandboxEnabled: false }, { readOnly: false }, { deny: [] }, { blockedHosts: null }, { requireApproval: 'never' },
      { allowNetwork: true }, { restart: 'always' }, { color: 'red' }, { order: 7 }, { stateless: true }, { windows: {} }, { x: null }
    ]) {
      const { reason, notes } = withMembers(members)
      t.equal(reason, null, JSON.stringify(members))
      t.match(notes, [{ server: 'it', member: Object.keys(members)[0], why: 'this service does not know it', matters: true }])
    }
    const odd = withMembers({ ['x\n'.repeat(100)]: 1, ünï: 2 })
    t.strictSame(odd.notes.map(({ member }) => member), [JSON.stringify('x\n'.repeat(32)), '"ünï"'], 'in one line, and not for ever')
  })

  t.test('a timeout is not taken, and both readings of it are named', async t => {
    const cases: Array<[value: unknown, advice: string]> = [
      [60, ': "timeouts": {"call": 60} if it is seconds, or "timeouts": {"call": 0.06} if it is milliseconds'],
      [60_000, ': "timeouts": {"call": 60000} if it is seconds, or "timeouts": {"call": 60} if it is milliseconds'],
      [600_000, ': "timeouts": {"call": 600} if it is milliseconds'],
      [1e9, ''], [0, ''], [-1, ''], ['60', ''], [null, '']
    ]
    for (const [timeout, advice] of cases) {
      const why = `it is seconds for one host and milliseconds for another; write timeouts.call, in seconds${advice}`
      t.match(withMembers({ timeout }), { reason: null, notes: [{ member: 'timeout', why, matters: true }] })
    }
    for (const name of ['initTimeout', 'startup_timeout_sec', 'timeoutMs', 'requestTimeout', 'tool-timeout']) {
      t.match(withMembers({ [name]: 5 }), { reason: null, notes: [{ member: name, why: /^it is seconds for one host/ }] })
    }
  })

  t.test('a text that another host would fill in is told of, and not shown', async t => {
    const { notes, reason } = withMembers({
      env: { A: '$CANARY_KEY', B: '%CANARY_KEY%', C: 'pa$SS', D: '$5', E: '$lower' }, args: ['$HOME/canary', '-x']
    })
    t.equal(reason, null)
    t.strictSame(notes.map(({ member }) => member), ['args[0]', 'env.A', 'env.B'])
    t.notMatch(JSON.stringify(notes), /canary|CANARY/)
  })
})

t.test('names are compared by their words', async t => {
  const words: Array<[name: string, words: string[]]> = [
    ['disabledTools', ['disabled', 'tools']], ['disabled_tools', ['disabled', 'tools']], ['disabled-Tools', ['disabled', 'tools']],
    ['allowMCPServers', ['allow', 'mcp', 'servers']], ['URL', ['url']], ['', []], ['a1B', ['a1', 'b']]
  ]
  for (const [name, expected] of words) t.strictSame(wordsOf(name), expected, name)
  const known = ['includeTools', 'excludeTools', 'args', 'env', 'stateful']
  for (const name of ['excludeTools', 'ExcludeTools', 'exclude_tools', 'excludTools', 'exculdeTools', 'excludedTools']) {
    t.equal(nearestName(name, known), 'excludeTools', name)
  }
  t.equal(nearestName('includedTools', known), 'includeTools')
  for (const name of ['tags', 'stateless', 'enx', 'vne', 'tools', '', 'x'.repeat(10_000)]) {
    t.equal(nearestName(name, known), undefined, name.slice(0, 20))
  }
})
