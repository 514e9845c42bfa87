"""The field numbers of Kubernetes' protobuf form, for what clients send in it; types come from the schemas.

One message per line (continued where indented): its name, then `field=number`. `+Message=number` is a message whose
fields stand among those of the outer one in JSON. Status and kinds of volumes that need a kernel are left out.
"""

PACKAGES = {
    "core": "io.k8s.api.core.v1",
    "apps": "io.k8s.api.apps.v1",
    "discovery": "io.k8s.api.discovery.v1",
    "autoscaling": "io.k8s.api.autoscaling.v1",
    "authorization": "io.k8s.api.authorization.v1",
    "authentication": "io.k8s.api.authentication.v1",
    "meta": "io.k8s.apimachinery.pkg.apis.meta.v1",
}

NUMBERS = """
core.Affinity: nodeAffinity=1 podAffinity=2 podAntiAffinity=3
core.AppArmorProfile: type=1 localhostProfile=2
core.Capabilities: add=1 drop=2
core.ClientIPConfig: timeoutSeconds=1
core.ClusterTrustBundleProjection: name=1 signerName=2 labelSelector=3 path=4 optional=5 user=6
core.ConfigMap: metadata=1 data=2 binaryData=3 immutable=4
core.ConfigMapEnvSource: +LocalObjectReference=1 optional=2
core.ConfigMapKeySelector: +LocalObjectReference=1 key=2 optional=3
core.ConfigMapProjection: +LocalObjectReference=1 items=2 optional=4
core.ConfigMapVolumeSource: +LocalObjectReference=1 items=2 defaultMode=3 optional=4 defaultUser=5
core.Container: name=1 image=2 command=3 args=4 workingDir=5 ports=6 env=7 resources=8 volumeMounts=9
    livenessProbe=10 readinessProbe=11 lifecycle=12 terminationMessagePath=13 imagePullPolicy=14 securityContext=15
    stdin=16 stdinOnce=17 tty=18 envFrom=19 terminationMessagePolicy=20 volumeDevices=21 startupProbe=22
    resizePolicy=23 restartPolicy=24 restartPolicyRules=25
core.ContainerPort: name=1 hostPort=2 containerPort=3 protocol=4 hostIP=5
core.ContainerResizePolicy: resourceName=1 restartPolicy=2
core.ContainerRestartRule: action=1 exitCodes=2
core.ContainerRestartRuleOnExitCodes: operator=1 values=2
core.DownwardAPIProjection: items=1
core.DownwardAPIVolumeFile: path=1 fieldRef=2 resourceFieldRef=3 mode=4 user=5
core.DownwardAPIVolumeSource: items=1 defaultMode=2 defaultUser=3
core.EmptyDirVolumeSource: medium=1 sizeLimit=2 mode=3
core.EnvFromSource: prefix=1 configMapRef=2 secretRef=3
core.EnvVar: name=1 value=2 valueFrom=3
core.EnvVarSource: fieldRef=1 resourceFieldRef=2 configMapKeyRef=3 secretKeyRef=4 fileKeyRef=5
core.Event: metadata=1 involvedObject=2 reason=3 message=4 source=5 firstTimestamp=6 lastTimestamp=7 count=8 type=9
    eventTime=10 series=11 action=12 related=13 reportingComponent=14 reportingInstance=15
core.EventSeries: count=1 lastObservedTime=2
core.EventSource: component=1 host=2
core.EvictionResponder: name=1 priority=2
core.ExecAction: command=1
core.FileKeySelector: volumeName=1 path=2 key=3 optional=4
core.GRPCAction: port=1 service=2 mode=3
core.HTTPGetAction: path=1 port=2 host=3 scheme=4 httpHeaders=5 protocol=6
core.HTTPHeader: name=1 value=2
core.HostAlias: ip=1 hostnames=2
core.HostPathVolumeSource: path=1 type=2
core.KeyToPath: key=1 path=2 mode=3 user=4
core.Lifecycle: postStart=1 preStop=2 stopSignal=3
core.LifecycleHandler: exec=1 httpGet=2 tcpSocket=3 sleep=4
core.LocalObjectReference: name=1
core.Namespace: metadata=1 spec=2
core.NamespaceSpec: finalizers=1
core.NodeAffinity: requiredDuringSchedulingIgnoredDuringExecution=1
    preferredDuringSchedulingIgnoredDuringExecution=2
core.NodeSelector: nodeSelectorTerms=1
core.NodeSelectorRequirement: key=1 operator=2 values=3
core.NodeSelectorTerm: matchExpressions=1 matchFields=2
core.ObjectFieldSelector: apiVersion=1 fieldPath=2
core.ObjectReference: kind=1 namespace=2 name=3 uid=4 apiVersion=5 resourceVersion=6 fieldPath=7
core.PersistentVolumeClaimVolumeSource: claimName=1 readOnly=2
core.Pod: metadata=1 spec=2
core.PodAffinity: requiredDuringSchedulingIgnoredDuringExecution=1 preferredDuringSchedulingIgnoredDuringExecution=2
core.PodAffinityTerm: labelSelector=1 namespaces=2 topologyKey=3 namespaceSelector=4 matchLabelKeys=5
    mismatchLabelKeys=6
core.PodAntiAffinity: requiredDuringSchedulingIgnoredDuringExecution=1
    preferredDuringSchedulingIgnoredDuringExecution=2
core.PodCertificateProjection: signerName=1 keyType=2 maxExpirationSeconds=3 credentialBundlePath=4 keyPath=5
    certificateChainPath=6 userAnnotations=7 user=8
core.PodDNSConfig: nameservers=1 searches=2 options=3
core.PodDNSConfigOption: name=1 value=2
core.PodOS: name=1
core.PodReadinessGate: conditionType=1
core.PodSchedulingGroup: podGroupName=1
core.PodSecurityContext: seLinuxOptions=1 runAsUser=2 runAsNonRoot=3 supplementalGroups=4 fsGroup=5 runAsGroup=6
    sysctls=7 windowsOptions=8 fsGroupChangePolicy=9 seccompProfile=10 appArmorProfile=11
    supplementalGroupsPolicy=12 seLinuxChangePolicy=13
core.PodSpec: volumes=1 containers=2 restartPolicy=3 terminationGracePeriodSeconds=4 activeDeadlineSeconds=5
    dnsPolicy=6 nodeSelector=7 serviceAccountName=8 serviceAccount=9 nodeName=10 hostNetwork=11 hostPID=12
    hostIPC=13 securityContext=14 imagePullSecrets=15 hostname=16 subdomain=17 affinity=18 schedulerName=19
    initContainers=20 automountServiceAccountToken=21 tolerations=22 hostAliases=23 priorityClassName=24 priority=25
    dnsConfig=26 shareProcessNamespace=27 readinessGates=28 runtimeClassName=29 enableServiceLinks=30
    preemptionPolicy=31 overhead=32 topologySpreadConstraints=33 ephemeralContainers=34 setHostnameAsFQDN=35 os=36
    hostUsers=37 schedulingGates=38 resourceClaims=39 resources=40 hostnameOverride=41 schedulingGroup=43
    evictionResponders=44
core.PodTemplateSpec: metadata=1 spec=2
core.PreferredSchedulingTerm: weight=1 preference=2
core.Probe: +ProbeHandler=1 initialDelaySeconds=2 timeoutSeconds=3 periodSeconds=4 successThreshold=5
    failureThreshold=6 terminationGracePeriodSeconds=7
core.ProbeHandler: exec=1 httpGet=2 tcpSocket=3 grpc=4
core.ProjectedVolumeSource: sources=1 defaultMode=2 defaultUser=3
core.ResourceClaim: name=1 request=2
core.ResourceFieldSelector: containerName=1 resource=2 divisor=3
core.ResourceRequirements: limits=1 requests=2 claims=3
core.SELinuxOptions: user=1 role=2 type=3 level=4
core.SeccompProfile: type=1 localhostProfile=2
core.Secret: metadata=1 data=2 type=3 stringData=4 immutable=5
core.SecretEnvSource: +LocalObjectReference=1 optional=2
core.SecretKeySelector: +LocalObjectReference=1 key=2 optional=3
core.SecretProjection: +LocalObjectReference=1 items=2 optional=4
core.SecretVolumeSource: secretName=1 items=2 defaultMode=3 optional=4 defaultUser=5
core.SecurityContext: capabilities=1 privileged=2 seLinuxOptions=3 runAsUser=4 runAsNonRoot=5
    readOnlyRootFilesystem=6 allowPrivilegeEscalation=7 runAsGroup=8 procMount=9 windowsOptions=10 seccompProfile=11
    appArmorProfile=12
core.Service: metadata=1 spec=2
core.ServiceAccount: metadata=1 secrets=2 imagePullSecrets=3 automountServiceAccountToken=4
core.ServiceAccountTokenProjection: audience=1 expirationSeconds=2 path=3 user=4
core.ServicePort: name=1 protocol=2 port=3 targetPort=4 nodePort=5 appProtocol=6
core.ServiceSpec: ports=1 selector=2 clusterIP=3 type=4 externalIPs=5 sessionAffinity=7 loadBalancerIP=8
    loadBalancerSourceRanges=9 externalName=10 externalTrafficPolicy=11 healthCheckNodePort=12
    publishNotReadyAddresses=13 sessionAffinityConfig=14 ipFamilyPolicy=17 clusterIPs=18 ipFamilies=19
    allocateLoadBalancerNodePorts=20 loadBalancerClass=21 internalTrafficPolicy=22 trafficDistribution=23
core.SessionAffinityConfig: clientIP=1
core.SleepAction: seconds=1
core.Sysctl: name=1 value=2
core.TCPSocketAction: port=1 host=2
core.Toleration: key=1 operator=2 value=3 effect=4 tolerationSeconds=5
core.TopologySpreadConstraint: maxSkew=1 topologyKey=2 whenUnsatisfiable=3 labelSelector=4 minDomains=5
    nodeAffinityPolicy=6 nodeTaintsPolicy=7 matchLabelKeys=8
core.Volume: name=1 +VolumeSource=2
core.VolumeDevice: name=1 devicePath=2
core.VolumeMount: name=1 readOnly=2 mountPath=3 subPath=4 mountPropagation=5 subPathExpr=6 recursiveReadOnly=7
    bindMountOptions=8
core.VolumeProjection: secret=1 downwardAPI=2 configMap=3 serviceAccountToken=4 clusterTrustBundle=5
    podCertificate=6
core.VolumeSource: hostPath=1 emptyDir=2 secret=6 persistentVolumeClaim=10 downwardAPI=16 configMap=19 projected=26
core.WeightedPodAffinityTerm: weight=1 podAffinityTerm=2
core.WindowsSecurityContextOptions: gmsaCredentialSpecName=1 gmsaCredentialSpec=2 runAsUserName=3 hostProcess=4
apps.Deployment: metadata=1 spec=2
apps.DeploymentSpec: replicas=1 selector=2 template=3 strategy=4 minReadySeconds=5 revisionHistoryLimit=6 paused=7
    progressDeadlineSeconds=9
apps.DeploymentStrategy: type=1 rollingUpdate=2
apps.ReplicaSet: metadata=1 spec=2
apps.ReplicaSetSpec: replicas=1 selector=2 template=3 minReadySeconds=4
apps.RollingUpdateDeployment: maxUnavailable=1 maxSurge=2
apps.RollingUpdateStatefulSetStrategy: partition=1 maxUnavailable=2
apps.StatefulSet: metadata=1 spec=2
apps.StatefulSetOrdinals: start=1
apps.StatefulSetPersistentVolumeClaimRetentionPolicy: whenDeleted=1 whenScaled=2
apps.StatefulSetSpec: replicas=1 selector=2 template=3 volumeClaimTemplates=4 serviceName=5 podManagementPolicy=6
    updateStrategy=7 revisionHistoryLimit=8 minReadySeconds=9 persistentVolumeClaimRetentionPolicy=10 ordinals=11
apps.StatefulSetUpdateStrategy: type=1 rollingUpdate=2
discovery.Endpoint: addresses=1 conditions=2 hostname=3 targetRef=4 deprecatedTopology=5 nodeName=6 zone=7 hints=8
discovery.EndpointConditions: ready=1 serving=2 terminating=3
discovery.EndpointHints: forZones=1 forNodes=2
discovery.EndpointPort: name=1 protocol=2 port=3 appProtocol=4
discovery.EndpointSlice: metadata=1 endpoints=2 ports=3 addressType=4
discovery.ForNode: name=1
discovery.ForZone: name=1
autoscaling.Scale: metadata=1 spec=2
autoscaling.ScaleSpec: replicas=1
authorization.FieldSelectorAttributes: rawSelector=1 requirements=2
authorization.LabelSelectorAttributes: rawSelector=1 requirements=2
authorization.NonResourceAttributes: path=1 verb=2
authorization.ResourceAttributes: namespace=1 verb=2 group=3 version=4 resource=5 subresource=6 name=7
    fieldSelector=8 labelSelector=9
authorization.SelfSubjectAccessReview: metadata=1 spec=2
authorization.SelfSubjectAccessReviewSpec: resourceAttributes=1 nonResourceAttributes=2
authorization.SelfSubjectRulesReview: metadata=1 spec=2
authorization.SelfSubjectRulesReviewSpec: namespace=1
authentication.BoundObjectReference: kind=1 apiVersion=2 name=3 uid=4
authentication.SelfSubjectReview: metadata=1
authentication.TokenRequest: metadata=1 spec=2
authentication.TokenRequestSpec: audiences=1 boundObjectRef=3 expirationSeconds=4
authentication.TokenReview: metadata=1 spec=2
authentication.TokenReviewSpec: token=1 audiences=2
meta.DeleteOptions: gracePeriodSeconds=1 preconditions=2 orphanDependents=3 propagationPolicy=4 dryRun=5
    ignoreStoreReadErrorWithClusterBreakingPotential=6
meta.FieldSelectorRequirement: key=1 operator=2 values=3
meta.LabelSelector: matchLabels=1 matchExpressions=2
meta.LabelSelectorRequirement: key=1 operator=2 values=3
meta.ManagedFieldsEntry: manager=1 operation=2 apiVersion=3 time=4 fieldsType=6 fieldsV1=7 subresource=8
meta.ObjectMeta: name=1 generateName=2 namespace=3 selfLink=4 uid=5 resourceVersion=6 generation=7
    creationTimestamp=8 deletionTimestamp=9 deletionGracePeriodSeconds=10 labels=11 annotations=12
    ownerReferences=13 finalizers=14 managedFields=17
meta.OwnerReference: kind=1 name=3 uid=4 apiVersion=5 controller=6 blockOwnerDeletion=7
meta.Preconditions: uid=1 resourceVersion=2
"""
