import { writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { readServersFile } from '../../lib/mcp/servers-file/servers-file.ts'
import configPlugin from '../../plugins/config.ts'
import { makeFolder } from '../support/folders.ts'
import { faultsIn, type KubernetesObject, render } from '../support/kubernetes.ts'
import { policyDefaults } from '../support/servers-file.ts'

interface Container {
  name: string
  image: string
  ports: Array<{ name: string, containerPort: number }>
  env?: Array<{ name: string, value: string }>
  volumeMounts: Array<{ name: string, mountPath: string }>
  resources: { limits: { memory: string } }
  securityContext: object
}
interface Pod {
  metadata: { labels: Record<string, string> }
  spec: {
    serviceAccountName?: string
    automountServiceAccountToken: boolean
    securityContext: { runAsUser: number }
    containers: Container[]
    volumes: Array<{ name: string, secret?: { secretName: string }, configMap?: { name: string } }>
  }
}
type Labels = Record<string, string>
interface Rule { ports: Array<{ port: number | string }>, to?: Peer[], from?: Peer[] }
interface Policy { podSelector: { matchLabels: Labels }, policyTypes: string[], ingress: Rule[], egress?: Rule[] }
interface Peer { podSelector?: { matchLabels: Labels } }

/** What /run/secrets/mcp-client holds in a pod, as docs/deployment.md makes it. */
const secretFiles: Record<string, string> = {
  'redis-password': 'canary',
  'redis-url': 'rediss://mcp:canary@redis.example.com:6379/0',
  'encryption-keys': `k1:${Buffer.alloc(32, 1).toString('base64')}`,
  'api-keys': `chat:${'0'.repeat(64)}`,
  'charts-token': 'canary'
}

const overlays = [
  { name: 'trial', ofOverlay: { validation: null }, replicas: 1 },
  { name: 'production', ofOverlay: { validation: { url: String }, sessionTokens: true }, replicas: 3 }
].map(overlay => ({ ...overlay, objects: render(`overlays/${overlay.name}`) }))

const specOf = <Spec>(object: KubernetesObject) => object.spec as Spec
const ofKind = (objects: KubernetesObject[], kind: string) => objects.filter(object => object.kind === kind)
const podsOf = (objects: KubernetesObject[]) =>
  ofKind(objects, 'Deployment').map(object => specOf<{ template: Pod }>(object).template)
const hasLabels = ({ metadata: { labels } }: Pod, wanted: Labels) =>
  Object.entries(wanted).every(([name, value]) => labels[name] === value)

function deployment (objects: KubernetesObject[], name: string) {
  const found = ofKind(objects, 'Deployment').find(({ metadata }) => metadata.name === name)
  if (found === undefined) throw new Error(`there is no Deployment ${name}`)
  const { template, replicas } = specOf<{ template: Pod, replicas: number }>(found)
  return { pod: template, container: template.spec.containers[0] as Container, replicas }
}

/** The settings that the service has with a container's variables, and with the files of its Secret. */
async function configOf (t: Test, { env = [] }: Container) {
  const folder = await makeFolder(t)
  for (const [name, text] of Object.entries(secretFiles)) writeFileSync(join(folder, name), text)
  const here = env.map(({ name, value }) => [name, value.replace('/run/secrets/mcp-client', folder)])
  const service = Fastify()
  t.teardown(() => service.close())
  await service.register(configPlugin, { env: { NODE_ENV: 'production', ...Object.fromEntries(here) } })
  return { config: service.config, host: service.hostEnvironment }
}

t.test('what the overlays of Kubernetes render to is valid, field by field', async t => {
  for (const { name, objects } of overlays) {
    t.ok(objects.length > 10, name)
    for (const object of objects) {
      t.strictSame(await faultsIn(object), [], `${name}: ${object.kind} ${object.metadata.name}`)
    }
  }
})

t.test('a field that Kubernetes does not know, a wrong type and a missing field are found', async t => {
  const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'x' } }
  for (const [spec, fault] of [
    [{ ports: [{ port: 1, targetPorts: 2 }] }, /unknown field \.spec\.ports\.0\.targetPorts/],
    [{ selectors: {}, ports: [{ port: 1 }] }, /unknown field \.spec\.selectors/],
    [{ ports: [{ port: '1' }] }, /port must be integer/],
    [{ ports: [{}] }, /must have required property port/]
  ] as const) t.match(await faultsIn({ ...service, spec }), [fault])
  t.strictSame(await faultsIn({ ...service, spec: { selector: { any: 'label' }, ports: [{ port: 1 }] } }), [])
})

t.test('the service takes the settings of each overlay, and its servers file', async t => {
  for (const { name, objects, ofOverlay, replicas } of overlays) {
    const service = deployment(objects, 'mcp-client')
    const { config, host } = await configOf(t, service.container)
    t.match(config, ofOverlay, name)
    t.equal(service.replicas, replicas, name)
    t.equal(config.encryptionKeys.length, 1, `${name}: data are sealed`)
    t.ok((config.apiKeys ?? []).length > 0, `${name}: a key is needed`)

    const [map] = ofKind(objects, 'ConfigMap')
    const volumes = service.pod.spec.volumes.flatMap(({ configMap }) => configMap?.name ?? [])
    t.strictSame(volumes, [map?.metadata.name], `${name}: the generated name is the one that is mounted`)
    const file = join(await makeFolder(t), 'servers.json')
    writeFileSync(file, (map?.data as { 'servers.json': string })['servers.json'])
    const [spec, ...others] = readServersFile(file, { host, sensitiveParams: [], policyDefaults })
    t.match([spec, others], [{ kind: 'http', name: 'charts', label: 'http://mcp-server-charts/mcp' }, []], name)
  }
})

t.test('each pod of an overlay is closed: no root, no capability, nothing to write, no account, an own user', async t => {
  for (const { name, objects } of overlays) {
    const users = podsOf(objects).map(({ spec }) => spec.securityContext.runAsUser)
    t.equal(new Set(users).size, users.length, `${name}: no two have one user`)
    for (const { spec } of podsOf(objects)) {
      t.match(spec, {
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } }
      })
      for (const container of spec.containers) {
        t.match(container, {
          securityContext: {
            allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] }
          },
          resources: { limits: { memory: /Mi|Gi/ }, requests: { memory: /Mi/, cpu: /m/ } }
        }, container.name)
        const volumes = spec.volumes.map(volume => volume.name)
        t.strictSame(container.volumeMounts.map(mount => mount.name).filter(each => !volumes.includes(each)), [])
      }
      if (spec.serviceAccountName === undefined) continue
      const account = ofKind(objects, 'ServiceAccount').find(({ metadata }) => metadata.name === spec.serviceAccountName)
      t.match(account, { automountServiceAccountToken: false })
    }
  }
})

t.test('each Service, budget and policy of an overlay selects pods that there are, at ports that they have', async t => {
  for (const { name, objects } of overlays) {
    const select = (labels: Labels) => podsOf(objects).filter(pod => hasLabels(pod, labels))
    const portsOf = (pods: Pod[]) => pods.flatMap(({ spec }) => spec.containers.flatMap(({ ports }) => ports))
    const hasPort = (pods: Pod[], port: number | string) =>
      portsOf(pods).some(({ name, containerPort }) => name === port || containerPort === port)

    for (const service of ofKind(objects, 'Service')) {
      const { selector, ports } = specOf<{ selector: Labels, ports: Array<{ targetPort: string }> }>(service)
      t.equal(select(selector).length, 1, `${name}: Service ${service.metadata.name}`)
      for (const { targetPort } of ports) t.ok(hasPort(select(selector), targetPort), targetPort)
    }
    for (const kind of ['PodDisruptionBudget', 'Deployment']) {
      for (const object of ofKind(objects, kind)) {
        t.equal(select(specOf<{ selector: { matchLabels: Labels } }>(object).selector.matchLabels).length, 1, kind)
      }
    }
    const policies = ofKind(objects, 'NetworkPolicy')
    t.equal(policies.length, podsOf(objects).length, `${name}: each pod has a policy`)
    for (const policy of policies) {
      const { podSelector, policyTypes, ingress, egress = [] } = specOf<Policy>(policy)
      const pods = select(podSelector.matchLabels)
      t.equal(pods.length, 1, `${name}: NetworkPolicy ${policy.metadata.name}`)
      t.strictSame(policyTypes, ['Ingress', 'Egress'])
      for (const { ports } of ingress) for (const { port } of ports) t.ok(hasPort(pods, port), `in at ${port}`)
      for (const { to = [], ports } of egress) {
        for (const { podSelector } of to) {
          if (podSelector === undefined) continue
          for (const { port } of ports) t.ok(hasPort(select(podSelector.matchLabels), port), `out to ${port}`)
        }
      }
    }
  }
})

t.test('the policy of the service lets out what its settings need', async t => {
  const outOf = (objects: KubernetesObject[]) => {
    const policy = ofKind(objects, 'NetworkPolicy').find(({ metadata }) => metadata.name === 'mcp-client')
    return specOf<{ egress: Rule[] }>(policy as KubernetesObject).egress.flatMap(({ to = [], ports }) =>
      ports.map(({ port }) => [port, to.length === 0 ? 'anywhere' : Object.keys(to[0] as object)[0]]))
  }
  const [trial, production] = overlays.map(({ objects }) => outOf(objects))
  const common = [[53, 'anywhere'], [53, 'anywhere'], [8000, 'podSelector'], [443, 'ipBlock']]
  t.strictSame(trial, common.toSpliced(2, 0, [6379, 'podSelector']))
  t.strictSame(production, common.toSpliced(2, 0, [6379, 'ipBlock']))
})

t.test('the servers that the service runs itself fit into its memory', async t => {
  for (const { name, objects } of overlays) {
    const { container } = deployment(objects, 'mcp-client')
    const megabytes = Number(/^(\d+)Gi$/.exec(container.resources.limits.memory)?.[1]) * 1024
    const { config } = await configOf(t, container)
    t.ok((config.processes.maxAlive ?? 1) <= (megabytes - 256) / 100, name)
  }
})

t.test('a secret that is named is one that docs/deployment.md makes', async t => {
  for (const { name, objects } of overlays) {
    for (const { spec } of podsOf(objects)) {
      for (const { secret } of spec.volumes) {
        if (secret !== undefined) t.match(secret.secretName, /^mcp-(client|server-charts)$/, name)
      }
    }
    for (const { value } of deployment(objects, 'mcp-client').container.env ?? []) {
      if (value.startsWith('/run/secrets/')) t.ok(Object.hasOwn(secretFiles, basename(value)), `${name}: ${value}`)
    }
  }
})
