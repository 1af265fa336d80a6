// A member of a group, by kafkajs: prints partition and offset of each record. kafkajs has a round robin of a name of
// its own alone; with the assignor that every other client has, it can be in a group with them.

const { Kafka, AssignerProtocol, logLevel } = require('kafkajs')

const [broker, groupId, topic] = process.argv.slice(2)
const { MemberMetadata, MemberAssignment } = AssignerProtocol
const nothing = Buffer.alloc(0)

const range = ({ cluster }) => ({
  name: 'range',
  version: 0,
  async assign({ members, topics }) {
    const ids = members.map(member => member.memberId).sort()
    const shares = new Map(ids.map(id => [id, {}]))
    for (const name of topics) {
      const partitions = cluster.findTopicPartitionMetadata(name).map(one => one.partitionId).sort((a, b) => a - b)
      const [least, more] = [Math.floor(partitions.length / ids.length), partitions.length % ids.length]
      ids.forEach((id, at) => {
        shares.get(id)[name] = partitions.splice(0, least + (at < more ? 1 : 0))
      })
    }
    return ids.map(memberId => ({
      memberId,
      memberAssignment: MemberAssignment.encode({ version: 0, assignment: shares.get(memberId), userData: nothing }),
    }))
  },
  protocol({ topics }) {
    return { name: 'range', metadata: MemberMetadata.encode({ version: 0, topics, userData: nothing }) }
  },
})

async function main() {
  const kafka = new Kafka({ clientId: 'kafkajs', brokers: [broker], logLevel: logLevel.NOTHING })
  const consumer = kafka.consumer({
    groupId,
    partitionAssigners: [range],
    sessionTimeout: 6000,
    rebalanceTimeout: 10000,
    heartbeatInterval: 500,
    maxWaitTimeInMs: 200,
  })
  process.on('SIGTERM', async () => {
    await consumer.disconnect()
    process.exit(0)
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    autoCommitInterval: 500,
    eachMessage: async ({ partition, message }) => console.log(partition, message.offset),
  })
}

main().catch(error => {
  console.error(error)
  process.exit(1)
})
