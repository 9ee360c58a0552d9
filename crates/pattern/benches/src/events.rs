//! Events as ECS sends them when an operation on a network interface is done: about 690 bytes each,
//! from 2,000 accounts with 20,000 interfaces in 20 regions.

use crate::random::Random;

pub const REGIONS: [&str; 20] = [
    "cn-hangzhou",
    "cn-shanghai",
    "cn-beijing",
    "cn-shenzhen",
    "cn-qingdao",
    "cn-zhangjiakou",
    "cn-huhehaote",
    "cn-chengdu",
    "cn-hongkong",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-5",
    "ap-northeast-1",
    "ap-south-1",
    "eu-central-1",
    "eu-west-1",
    "us-west-1",
    "us-east-1",
    "me-east-1",
];
pub const OPERATIONS: [&str; 8] = [
    "AttachNetworkInterface",
    "DetachNetworkInterface",
    "CreateNetworkInterface",
    "DeleteNetworkInterface",
    "ModifyNetworkInterfaceAttribute",
    "AssignPrivateIpAddresses",
    "UnassignPrivateIpAddresses",
    "AssignIpv6Addresses",
];
pub const STATUSES: [&str; 6] = [
    "InUse",
    "Available",
    "Creating",
    "Attaching",
    "Detaching",
    "Deleting",
];
/// Eight of ten are INFO.
pub const LEVELS: [&str; 10] = [
    "INFO", "INFO", "INFO", "INFO", "INFO", "INFO", "INFO", "INFO", "WARN", "CRITICAL",
];

/// An account and its region.
pub struct User {
    pub id: String,
    pub region: &'static str,
}

/// A network interface and the index of its owner.
pub struct Interface {
    pub id: String,
    pub user: usize,
}

/// The accounts and network interfaces.
pub struct Cloud {
    pub users: Vec<User>,
    pub interfaces: Vec<Interface>,
}

impl Cloud {
    pub fn new() -> Self {
        let mut random = Random::seeded(1);
        let users: Vec<User> = (0..2_000)
            .map(|_| User {
                id: format!("16907{:011}", random.below(100_000_000_000)),
                region: random.pick(&REGIONS),
            })
            .collect();
        let interfaces = (0..20_000)
            .map(|_| Interface {
                id: format!("eni-8vb1qo{}", random.hex(14)),
                user: random.below(users.len()),
            })
            .collect();
        Self { users, interfaces }
    }

    pub fn interface(&self, random: &mut Random) -> (&Interface, &User) {
        let interface = &self.interfaces[random.below(self.interfaces.len())];
        (interface, &self.users[interface.user])
    }
}

impl Default for Cloud {
    fn default() -> Self {
        Self::new()
    }
}

/// The first `count` events, the same on every run.
pub fn events(cloud: &Cloud, count: usize) -> Vec<String> {
    let mut random = Random::seeded(2);
    (0..count).map(|_| event(cloud, &mut random)).collect()
}

fn event(cloud: &Cloud, random: &mut Random) -> String {
    let (interface, user) = cloud.interface(random);
    let third = random.below(256);
    let network = if random.chance(50) {
        format!("192.168.{third}")
    } else {
        format!("10.{}.{third}", random.below(256))
    };
    let host = 1 + random.below(249);
    let failed = random.chance(5);
    let (uuid, request, level) = (random.uuid(), random.uuid(), random.pick(&LEVELS));
    let time = format!(
        "201904{:02}T{:02}{:02}{:02}.{:03}+0800",
        1 + random.below(30),
        random.below(24),
        random.below(60),
        random.below(60),
        random.below(1000),
    );
    let v6 = format!(
        "2001:DB8:{}:{}:8:800:{}:{}",
        1000 + random.below(8999),
        10 + random.below(89),
        random.upper_hex(4),
        random.upper_hex(4),
    );
    format!(
        concat!(
            r#"{{"id":"{uuid}","product":"ECS","#,
            r#""resourceId":"acs:ecs:{region}:{user}:eni/{eni}","level":"{level}","#,
            r#""name":"NetworkInterface:NetworkInterfaceOperateCompleted","userId":"{user}","#,
            r#""eventTime":"{time}","regionId":"{region}","content":{{"eniId":"{eni}","#,
            r#""operation":"{operation}","eniStatus":"{status}","result":"{result}","#,
            r#""requestId":"{request}","primaryPrivateIp":"{network}.{host}","#,
            r#""secondaryPrivateIps":["{network}.{second}","{network}.{third}"],"#,
            r#""ipv4Prefixes":["{network}.0/24"],"#,
            r#""ipv6s":["{v6}"],"ipv6Prefixes":["2001:DB8::/32"]{error}}}}}"#,
        ),
        uuid = uuid,
        region = user.region,
        user = user.id,
        eni = interface.id,
        level = level,
        time = time,
        operation = random.pick(&OPERATIONS),
        status = random.pick(&STATUSES),
        result = if failed { "failed" } else { "success" },
        request = request,
        network = network,
        host = host,
        second = host + 1,
        third = host + 2,
        v6 = v6,
        error = if failed {
            r#","errorCode":"InvalidParameter""#
        } else {
            ""
        },
    )
}
