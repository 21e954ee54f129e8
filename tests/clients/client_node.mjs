// Ten steps of @kubernetes/client-node, each printed as a line of JSON.
import * as k8s from '@kubernetes/client-node';
import net from 'net';
import stream from 'stream';

const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const namespace = 'default';
const path = '/api/v1/namespaces/default/pods';
const pod = {metadata: {name: 'np'}, spec: {containers: [{name: 'c', image: 'busybox', command: ['sleep', '100']}]}};

const step = async (name, does) => {
  let passed = false, text = '';
  const late = new Promise((_, reject) => setTimeout(() => reject('no answer in 20 s'), 20000));
  try {
    const result = await Promise.race([does(), late]);
    passed = Boolean(result);
    text = JSON.stringify(result) ?? '';
  } catch (error) {
    text = String(error).slice(0, 300);
  }
  console.log(JSON.stringify({name, passed, text: text.slice(0, 300)}));
};

await step('list', async () => (await core.listNamespacedPod({namespace})).items.map(each => each.status.podIP));
await step('create', async () => (await core.createNamespacedPod({namespace, body: pod})).metadata.uid);
await step('exec', () => new Promise((resolve, reject) => {
  const out = new stream.PassThrough();
  let text = '';
  out.on('data', data => text += data);
  const end = status => resolve(text === 'np\n' && status.details.causes[0].message === '4');
  new k8s.Exec(config)
    .exec(namespace, 'np', 'c', ['sh', '-c', 'hostname; exit 4'], out, process.stderr, null, false, end)
    .catch(reject);
}));
await step('watch', () => new Promise((resolve, reject) => {
  let request;
  const event = (type, object) => { resolve([type, object.metadata.name]); request?.abort?.(); };
  new k8s.Watch(config).watch(path, {}, event, reject).then(made => request = made);
}));
await step('informer', () => new Promise((resolve, reject) => {
  const informer = k8s.makeInformer(config, path, () => core.listNamespacedPod({namespace}));
  informer.on('add', object => { resolve(object.metadata.name); informer.stop(); });
  informer.on('error', reject);
  informer.start();
}));
await step('portforward', () => new Promise((resolve, reject) => {
  const forward = new k8s.PortForward(config);
  const server = net.createServer(client => forward.portForward(namespace, 'server', [80], client, null, client));
  server.listen(0, '127.0.0.1', () => {
    const client = net.connect(server.address().port, '127.0.0.1', () => client.write('GET / HTTP/1.0\r\n\r\n'));
    client.on('error', reject);
    client.on('data', data => { resolve(String(data).startsWith('HTTP/1.')); client.destroy(); server.close(); });
  });
}));
await step('log', () => new Promise((resolve, reject) => {
  const out = new stream.PassThrough();
  out.on('end', () => resolve('end'));
  out.resume();
  new k8s.Log(config).log(namespace, 'np', 'c', out, {tailLines: 5}).catch(reject);
}));
const patch = [{op: 'add', path: '/metadata/labels', value: {a: 'b'}}];
await step('JSON patch', async () =>
  (await core.patchNamespacedPod({name: 'np', namespace, body: patch})).metadata.labels.a === 'b');
const objects = k8s.KubernetesObjectApi.makeApiClient(config);
await step('object API', async () =>
  (await objects.read({apiVersion: 'v1', kind: 'Pod', metadata: {name: 'np', namespace}})).metadata.name);
await step('delete', async () => (await core.deleteNamespacedPod({name: 'np', namespace})).metadata?.name ?? 'deleted');
process.exit(0);
